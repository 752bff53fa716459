import { vi } from 'vitest'

// Tests show parts without the pages that bring their words: all of English is at hand.
// That each page brings what it says is what messages/packs.test.ts is for.
vi.mock('@/messages/en/first', async (original) => ({
  ...(await original<object>()),
  ...(await import('@/messages/en/admin')),
  ...(await import('@/messages/en/client')),
  ...(await import('@/messages/en/lists')),
  ...(await import('@/messages/en/settings')),
}))
