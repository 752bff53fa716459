import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { defineComponent, h, ref } from 'vue'
import { createMemoryHistory, createRouter, RouterView } from 'vue-router'
import { useLanguage } from '@/messages'
import { useTitle, useWindowTitle } from './title'

const photos = ref<string>()
const blank = { template: '<i />' }
const Sheet = defineComponent({
  setup() {
    useTitle(() => photos.value)
    return () => h('i')
  },
})

beforeEach(() => {
  localStorage.clear()
  photos.value = undefined
  setActivePinia(createPinia())
})
enableAutoUnmount(afterEach)

async function open(path: string) {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/', component: blank, meta: { title: (t) => t.app.home } },
      { path: '/services', component: blank, meta: { title: (t) => t.service.title } },
      { path: '/sheet', component: Sheet, meta: { title: (t) => t.app.home } },
    ],
  })
  mount(
    defineComponent({
      setup() {
        useWindowTitle()
        return () => h(RouterView)
      },
    }),
    { global: { plugins: [router] } },
  )
  const go = async (to: string) => {
    await router.push(to)
    await flushPromises()
  }
  await go(path)
  return go
}

it('names the window after the page, and after what a sheet shows as long as it is there', async () => {
  const go = await open('/sheet')
  expect(document.title).toBe('Home · Ownline')
  photos.value = 'Photos'
  await flushPromises()
  expect(document.title).toBe('Photos · Ownline')
  await go('/services')
  expect(document.title).toBe('Services · Ownline')
})

it('names the window in the language that was chosen', async () => {
  const go = await open('/services')
  await useLanguage().choose('es')
  await flushPromises()
  expect(document.title).toBe('Servicios · Ownline')
  await go('/')
  expect(document.title).toBe('Inicio · Ownline')
})
