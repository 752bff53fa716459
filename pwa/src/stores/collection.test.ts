import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it } from 'vitest'
import { Problem } from '@/api/problem'
import { collection } from './collection'

interface Thing {
  id: string
  word: string
}

const one: Thing = { id: '1', word: 'one' }
const two: Thing = { id: '2', word: 'two' }

beforeEach(() => setActivePinia(createPinia()))

describe('collection', () => {
  it('knows loading, ready and failed', async () => {
    let answer: () => Promise<Thing[]> = () => Promise.reject(new Problem(500))
    const list = collection(() => answer())
    expect(list.state.value).toBe('idle')
    const loading = list.load()
    expect(list.state.value).toBe('loading')
    await loading
    expect(list.state.value).toBe('failed')
    expect(list.problem.value?.status).toBe(500)

    answer = () => Promise.resolve([one])
    await list.load()
    expect(list.state.value).toBe('ready')
    expect(list.problem.value).toBeUndefined()
    expect(list.all.value).toEqual([one])
  })

  it('keeps what is known when a later fetch fails', async () => {
    let fails = false
    const list = collection(async () => {
      if (fails) throw new Problem(0)
      return [one]
    })
    await list.load()
    fails = true
    await list.load()
    expect(list.state.value).toBe('ready')
    expect(list.all.value).toEqual([one])
  })

  it('believes an event rather than the answer that was under way', async () => {
    let resolve: (things: Thing[]) => void = () => {}
    const list = collection(() => new Promise<Thing[]>((done) => (resolve = done)))
    const loading = list.load()
    list.follow({ ...one, word: 'newer' })
    list.follow({ ...two, removed: true })
    resolve([one, two])
    await loading
    expect(list.all.value).toEqual([{ id: '1', word: 'newer' }])
  })

  it('drops what the server no longer lists', async () => {
    let things = [one, two]
    const list = collection(async () => things)
    await list.load()
    things = [two]
    await list.load()
    expect(list.all.value).toEqual([two])
  })

  it('takes a guess back', async () => {
    const list = collection(async () => [one])
    await list.load()
    const takeBack = list.guess({ id: '1', word: 'guessed' }, '1')
    expect(list.get('1')?.word).toBe('guessed')
    takeBack()
    expect(list.get('1')).toEqual(one)
  })

  it('does not take a guess back over what the server has said since', async () => {
    const list = collection(async () => [one])
    await list.load()
    const takeBack = list.guess({ id: '1', word: 'guessed' }, '1')
    list.follow({ id: '1', word: 'told' })
    takeBack()
    expect(list.get('1')?.word).toBe('told')
  })
})
