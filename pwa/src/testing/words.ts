import { vi } from 'vitest'

// Tests show parts without the pages that bring their words: all of English is at hand.
// That each page brings what it says is what messages/packs.test.ts is for.
vi.mock('@/messages/start', async () => ({ atHand: (await import('@/messages/en')).en }))
vi.mock('@/messages/en/first', async (original) => ({
  ...(await original<object>()),
  ...(await import('@/messages/en/audit')),
  ...(await import('@/messages/en/client')),
  ...(await import('@/messages/en/device')),
  ...(await import('@/messages/en/grant')),
  ...(await import('@/messages/en/history')),
  ...(await import('@/messages/en/invitation')),
  ...(await import('@/messages/en/origins')),
  ...(await import('@/messages/en/refusal')),
  ...(await import('@/messages/en/services')),
  ...(await import('@/messages/en/settings')),
  ...(await import('@/messages/en/setup')),
  ...(await import('@/messages/en/sheet')),
  ...(await import('@/messages/en/siteAdmin')),
  ...(await import('@/messages/en/user')),
}))
