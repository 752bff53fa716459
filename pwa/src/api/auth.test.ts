import { afterEach, expect, it, vi } from 'vitest'
import { sampleMe } from '@/testing/samples'
import { me } from './auth'

const answers = (body: unknown) => vi.stubGlobal('fetch', vi.fn<typeof fetch>(async () => Response.json(body)))
afterEach(() => vi.unstubAllGlobals())

it('tells who is signed in, and that nobody is, without an answer that is an error', async () => {
  answers({ me: sampleMe() })
  expect(await me()).toEqual(sampleMe())
  answers({})
  await expect(me()).rejects.toMatchObject({ status: 401, unreachable: false })
})
