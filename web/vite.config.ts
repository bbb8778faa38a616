import { svelte } from '@sveltejs/vite-plugin-svelte';
import { type Plugin, defaultClientConditions, defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';

import { precompress } from './scripts/precompress.ts';

/** The client package is used from its sources. */
const SOURCE = 'pointsman-source';

/** Where `npm run dev` finds a running Pointsman. */
const SERVER = process.env['POINTSMAN_URL'] ?? 'http://127.0.0.1:8080';

/** The server answers every path under /chat with chat.html; so does the development server. */
function chatPaths(): Plugin {
  return {
    name: 'pointsman-chat-paths',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (/^\/chat(\/|$|\?)/.test(request.url ?? '')) request.url = '/chat.html';
        next();
      });
    },
  };
}

export default defineConfig({
  plugins: [svelte(), chatPaths(), precompress()],
  resolve: {
    conditions: [SOURCE, ...defaultClientConditions],
    // The client package's sources use this package's copy.
    dedupe: ['mqtt'],
  },
  // Tests run in Node.
  ssr: { resolve: { conditions: [SOURCE, ...defaultServerConditions] }, noExternal: ['@pointsman/client'] },
  server: { proxy: { '/mqtt': { target: SERVER, ws: true }, '/api': SERVER, '/ca.crt': SERVER } },
  build: {
    target: 'es2022',
    // The content security policy allows no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ['index.html', 'chat.html'] },
  },
  test: { include: ['ui/**/*.test.ts'] },
});
