import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'
import { font } from './build/font.ts'
import { glyphs } from './build/glyphs.ts'
import { icons } from './build/icons.ts'
import { licences } from './build/licences.ts'
import { pictures } from './build/pictures.ts'
import { worker } from './build/worker.ts'

// The server's content policy allows neither inline scripts and styles nor data: addresses,
// so nothing may be inlined. All browsers named here know light-dark() and popovers.
const browsers = ['chrome123', 'edge123', 'firefox125', 'safari17.5']

/**
 * Names the order of the style layers at the top of every sheet. Which sheet comes first is the
 * bundler's choice, and the first to name a layer would otherwise give it the lowest rank.
 */
function layerOrder(): Plugin {
  return {
    name: 'ownline:layer-order',
    enforce: 'post',
    generateBundle(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'asset' && file.fileName.endsWith('.css')) {
          file.source = `@layer reset,tokens,base,parts,pages;${file.source}`
        }
      }
    },
  }
}

export default defineConfig({
  plugins: [vue(), glyphs(), layerOrder(), font(), icons(), licences(), pictures(), worker()],
  define: { __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
  resolve: {
    alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) },
  },
  build: {
    outDir: '../internal/web/ui/dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: browsers,
    cssTarget: browsers,
    rolldownOptions: {
      output: {
        // Shared parts are named after all that share them, and the first script lists every name.
        chunkFileNames: ({ name }) => `assets/${name.startsWith('parts') ? 'parts' : '[name]'}-[hash].js`,
        assetFileNames: ({ names }) => `assets/${names[0]?.startsWith('parts') ? 'parts' : '[name]'}-[hash][extname]`,
        codeSplitting: {
          groups: [
            // What comes first are few files, of which the library outlives most releases;
            { name: 'library', test: /node_modules\/(?:@vue|vue|vue-router|pinia|openapi-fetch)\//, priority: 4 },
            { name: 'frame', tags: ['$initial'], priority: 3 },
            // the little style of the sign-in, which is no request of its own then;
            { name: 'entry', test: /(?:FieldFrame|TextField|LoginPage|SignInForm)\.vue\?.*type=style/, priority: 4 },
            // fields, which the sign-in shares with most of the others;
            { name: 'fields', test: /components\/part\/(?:FieldFrame|TextField)\.vue/, priority: 2.5 },
            { name: 'HomePage', test: /pages\/HomePage\.vue/, priority: 2 },
            { name: 'LoginPage', test: /pages\/LoginPage\.vue/, priority: 1 },
            // what nearly every other page needs comes once the first one stands;
            {
              name: 'controls',
              test: /components\/part\/(?:AppSwitch|ConfirmDialog|DetailList|SegmentedChoice|SelectField|SheetDialog)\.vue/,
              priority: 0.5,
            },
            // what the same ones of the others share is one. (No entriesAwareMergeThreshold: what it merges depends
            // on the folder the app is built in, rolldown#10886.)
            { name: 'parts', minShareCount: 2, entriesAware: true },
          ],
        },
      },
    },
  },
  server: {
    proxy: { '/api': { target: process.env['OWNLINE_WEB'] ?? 'http://127.0.0.1:8080' } },
  },
  test: {
    environment: 'happy-dom',
    setupFiles: ['src/testing/words.ts'],
    include: ['src/**/*.test.ts', 'guest/**/*.test.ts', 'build/**/*.test.ts'],
    // A busy machine takes its time with what is loaded on demand.
    testTimeout: 30_000,
    clearMocks: true,
    restoreMocks: true,
    // The contrast test reads the tokens.
    css: { include: [/tokens/] },
  },
})
