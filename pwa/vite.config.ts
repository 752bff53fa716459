import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

// The server's content policy allows neither inline scripts and styles nor data: addresses,
// so nothing may be inlined. All browsers named here know light-dark() and popovers.
const browsers = ['chrome123', 'edge123', 'firefox125', 'safari17.5']

export default defineConfig({
  plugins: [vue()],
  define: { __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
  resolve: {
    alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) },
  },
  build: {
    outDir: '../internal/web/ui/dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    // One small sheet costs less than the requests of many.
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    target: browsers,
    cssTarget: browsers,
  },
  server: {
    proxy: { '/api': { target: process.env['OWNLINE_WEB'] ?? 'http://127.0.0.1:8080' } },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    restoreMocks: true,
  },
})
