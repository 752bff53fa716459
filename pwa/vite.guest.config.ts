import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { glyphs } from './build/glyphs.ts'

// The page for invited guests: a few files that any web host can serve, at any path. The content
// policy allows nothing inline.
const browsers = ['chrome123', 'edge123', 'firefox125', 'safari17.5']

export default defineConfig({
  root: fileURLToPath(new URL('./guest', import.meta.url)),
  base: './',
  plugins: [glyphs()],
  resolve: {
    alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) },
  },
  build: {
    outDir: '../../internal/web/guestpage/dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: browsers,
    cssTarget: browsers,
    // The library for MQTT is large, and fetched only by pages that need it.
    chunkSizeWarningLimit: 600,
  },
})
