import { spawn } from 'node:child_process';

/** Processes of this test file that still run; none outlives it. */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A program that runs beside the test, with what it prints. */
export class Running {
  #lines = [];
  #waiting = new Set();
  #exit;

  constructor(program, args, { cwd, env }) {
    this.child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.child);
    this.#exit = new Promise((resolve) => {
      this.child.on('error', (error) => this.#line(`${program}: ${error.message}`));
      this.child.on('close', (code, signal) => {
        running.delete(this.child);
        resolve(code ?? signal);
        this.#settle();
      });
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop();
        lines.forEach((line) => this.#line(line));
      });
    }
  }

  /** Everything printed so far. */
  get output() {
    return this.#lines.join('\n');
  }

  /** The first line, past or future, that matches; fails when the program ends without it. */
  async printed(pattern) {
    for (;;) {
      const match = this.#lines.map((line) => line.match(pattern)).find(Boolean);
      if (match) return match;
      if (!running.has(this.child)) throw new Error(`the program ended without printing ${pattern}:\n${this.output}`);
      await new Promise((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Asks the program to end and waits until it has; resolves with its status or signal. */
  stop(signal = 'SIGTERM') {
    this.child.kill(signal);
    return this.#exit;
  }

  #line(text) {
    this.#lines.push(text.replace(/\u001b\[[0-9;]*m/g, ''));
    this.#settle();
  }

  #settle() {
    for (const resume of this.#waiting) resume();
    this.#waiting.clear();
  }
}
