/** Writes `x.br` and `x.gz` beside each built text file, so that the server compresses nothing at run time. */

import { readFile, readdir, writeFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

import type { Plugin } from 'vite';

const COMPRESSED = new Set(['.css', '.html', '.js', '.svg', '.txt', '.webmanifest']);
/** Smaller files fit one packet anyway. */
const SIZE_BYTES_MIN = 1024;

/** The plugin; it works on what the build has just written. */
export function precompress(): Plugin {
  let outDir = 'dist';
  return {
    name: 'pointsman-precompress',
    apply: 'build',
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      const files = await readdir(outDir, { recursive: true });
      await Promise.all(files.filter((file) => COMPRESSED.has(extname(file))).map((file) => compress(join(outDir, file))));
    },
  };
}

async function compress(file: string): Promise<void> {
  const bytes = await readFile(file);
  if (bytes.length < SIZE_BYTES_MIN) return;
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  await writeFile(`${file}.br`, await promisify(brotliCompress)(bytes, { params }));
  await writeFile(`${file}.gz`, await promisify(gzip)(bytes, { level: 9 }));
}
