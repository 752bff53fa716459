import { flushPromises } from '@vue/test-utils'
import { describe, expect, it, vi } from 'vitest'
import type { Proof } from '@/api/factors'
import { Problem } from '@/api/problem'
import { NotProved, useProof } from './proof'

const needed = new Problem(403, '', [{ field: 'password', message: 'is needed for this' }])
const wrong = new Problem(403, '', [{ field: 'password', message: 'is not right' }])
type Call = (proof: Proof) => Promise<string>

describe('a proof', () => {
  it('is not asked of who signed in just now', async () => {
    const proof = useProof()
    expect(await proof.run(async () => 'done')).toBe('done')
    expect(proof.asking.value).toBe(false)
  })

  it('is asked where the server wants one, again while it is wrong', async () => {
    const proof = useProof()
    const call = vi.fn<Call>()
    call.mockRejectedValueOnce(needed).mockRejectedValueOnce(wrong).mockResolvedValueOnce('done')
    const result = proof.run(call)
    await flushPromises()
    expect(proof.asking.value).toBe(true)
    expect(proof.problem.value).toBeUndefined()
    await proof.give({ password: 'no' })
    expect(proof.asking.value).toBe(true)
    expect(proof.problem.value).toBe(wrong)
    await proof.give({ password: 'yes' })
    expect(await result).toBe('done')
    expect(call).toHaveBeenLastCalledWith({ password: 'yes' })
    expect(proof.asking.value).toBe(false)
  })

  it('can be left unanswered', async () => {
    const proof = useProof()
    const result = proof.run(vi.fn<Call>().mockRejectedValue(needed))
    await flushPromises()
    proof.cancel()
    await expect(result).rejects.toThrow(NotProved)
    expect(proof.asking.value).toBe(false)
  })

  it('is no answer to another refusal', async () => {
    const proof = useProof()
    const other = new Problem(403, 'admin is for tokens of admins', [{ field: 'scopes', message: 'no' }])
    await expect(proof.run(vi.fn<Call>().mockRejectedValue(other))).rejects.toBe(other)
    const late = vi.fn<Call>().mockRejectedValueOnce(needed).mockRejectedValueOnce(new Problem(409))
    const result = proof.run(late)
    await flushPromises()
    await Promise.all([expect(result).rejects.toThrow('status 409'), proof.give({ otp: '123456' })])
    expect(proof.asking.value).toBe(false)
  })
})
