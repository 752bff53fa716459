import { vi } from 'vitest'

// Tests show parts without the pages that bring their words: all of English is at hand.
// That each page brings what it says is what messages/packs.test.ts is for.
vi.mock('@/messages/start', async () => ({ atHand: (await import('@/messages/en')).en }))
vi.mock('@/messages/en/first', () => import('@/messages/en'))
