/** The real server as a child process, in a folder of its own, on free ports of the loopback interface. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { eventually } from './eventually.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Below the range that systems take for outgoing connections: no browser may sit on a port while the server is down. */
const PORT_FIRST = 20_000;
const PORT_COUNT = 10_000;
const START_MS = 20_000;

export class Server {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  #log;

  /**
   * @param {string} folder
   * @param {{ mqtt: number, mqtts: number, http: number, https: number }} ports
   */
  constructor(folder, ports) {
    this.folder = folder;
    this.ports = ports;
    this.#log = join(folder, 'server.log');
  }

  /** A server that answers. */
  static async start() {
    const folder = await mkdtemp(join(tmpdir(), 'pointsman-browser-'));
    const ports = { mqtt: await freePort(), mqtts: await freePort(), http: await freePort(), https: await freePort() };
    const server = new Server(folder, ports);
    const listen = Object.entries(ports).map(([kind, port]) => `${kind} = ["127.0.0.1:${port}"]`);
    await writeFile(join(folder, 'pointsman.toml'), `[listen]\n${listen.join('\n')}\n[data]\ndirectory = "data"\n`);
    try {
      await server.again();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** The secure pages. */
  get url() {
    return `https://localhost:${this.ports.https}`;
  }

  /** MQTT over secure WebSockets. */
  get socketUrl() {
    return `wss://localhost:${this.ports.https}/mqtt`;
  }

  /** The certificate authority that the server made for itself. */
  get authority() {
    return readFileSync(join(this.folder, 'data/tls/ca.crt'));
  }

  /** Everything the server has printed. */
  get log() {
    return readFileSync(this.#log, 'utf8');
  }

  /** Starts the process on the same data and ports. */
  async again() {
    const program = binary();
    const output = openSync(this.#log, 'a');
    const child = spawn(program, ['serve', '--config', join(this.folder, 'pointsman.toml')], {
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    this.#child = child;
    await eventually(
      'the server starts',
      async () => {
        if (child.exitCode !== null) return;
        const answer = await fetch(`http://localhost:${this.ports.http}/api/status`);
        if (!answer.ok) throw new Error(`it answered ${answer.status}:\n${this.log}`);
      },
      START_MS,
    );
    if (child.exitCode !== null) throw new Error(`the server ended at once with ${child.exitCode}:\n${this.log}`);
  }

  /** What the server says about itself. */
  async status() {
    const answer = await fetch(`http://localhost:${this.ports.http}/api/status`);
    return answer.json();
  }

  /** Ends the process as a power switch would: nothing is written, nobody is told. */
  kill() {
    return this.#end('SIGKILL');
  }

  /** Ends the process and removes its folder. */
  async stop() {
    await this.#end('SIGTERM');
    await rm(this.folder, { recursive: true });
  }

  /**
   * Edits a rule as an admin would, in place.
   *
   * @param {string} name
   * @param {(text: string) => string} change
   */
  async editRule(name, change) {
    const file = join(this.folder, 'data/rules', name);
    const before = await readFile(file, 'utf8');
    const after = change(before);
    if (after === before) throw new Error(`the change left ${name} as it was`);
    await writeFile(file, after);
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

function binary() {
  const given = process.env['POINTSMAN_BIN'];
  const candidates = given ? [given] : [`${ROOT}target/release/pointsman`, `${ROOT}target/debug/pointsman`];
  // Of two builds the newer one: the other may know nothing of what is tested.
  const built = candidates.filter((path) => existsSync(path));
  const found = built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs).at(0);
  if (found === undefined) {
    throw new Error(`there is no ${candidates.join(' and no ')}: build it, or name one in POINTSMAN_BIN`);
  }
  return found;
}

/** @returns {Promise<number>} */
async function freePort() {
  for (;;) {
    const port = PORT_FIRST + Math.floor(Math.random() * PORT_COUNT);
    const probe = createServer();
    const free = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
