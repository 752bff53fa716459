import './styles/index.css'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { onSignedOut, onTiming } from './api/client'
import App from './App.vue'
import { useLanguage } from './messages'
import { makeRouter } from './router'
import { useAccount } from './stores/account'
import { useClock } from './stores/clock'
import { useTheme } from './stores/theme'

const app = createApp(App).use(createPinia())

onTiming(useClock().observe)
onSignedOut(useAccount().leave)
useTheme().apply()

await useLanguage().start()
app.use(makeRouter()).mount('#app')
