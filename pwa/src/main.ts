import './styles/index.css'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { onProblem, onSignedOut, onTiming } from './api/client'
import App from './App.vue'
import { useLanguage } from './messages'
import { translate } from './messages/sentences'
import NotLoaded from './NotLoaded.vue'
import { makeRouter } from './router'
import { useAccount } from './stores/account'
import { useClock } from './stores/clock'
import { useInstall } from './stores/install'
import { useNotices } from './stores/notices'
import { useTheme } from './stores/theme'

// The pages that people come to first come while the server is asked who is there. What fails, the router tells.
if (location.pathname === '/') import('./pages/HomePage.vue').catch(() => undefined)
if (location.pathname === '/login') import('./pages/LoginPage.vue').catch(() => undefined)
if (location.pathname === '/client') import('./pages/ClientPage.vue').catch(() => undefined)

// Not at the top level: a module that waits keeps the bundler from leaving it whole.
async function start(): Promise<void> {
  const pinia = createPinia()
  const app = createApp(App).use(pinia)
  const language = useLanguage()

  onTiming(useClock().observe)
  onSignedOut(useAccount().expire)
  onProblem((problem) => translate(problem, language.name))
  useTheme().apply()
  useInstall().start()

  const giveUp = (): void => void createApp(NotLoaded).use(pinia).mount('#app')
  try {
    await language.start()
  } catch {
    return giveUp()
  }
  const router = makeRouter()
  router.onError((_, to, from) => {
    if (from.matched.length > 0) {
      const reload = { label: language.t.app.reload, run: () => location.assign(to.fullPath) }
      return void useNotices().show(language.t.app.notLoaded, [reload], { bad: true })
    }
    app.unmount()
    return giveUp()
  })
  app.use(router).mount('#app')
  // What keeps the app on this device is not needed to see it.
  if (import.meta.env.PROD) await (await import('./stores/version')).useVersion().start()
}

void start()
