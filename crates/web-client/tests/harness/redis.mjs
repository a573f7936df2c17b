// A Redis on a free port that keeps nothing; gone with `stop`.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { freePort, until } from './system.mjs';

export class Redis {
  #process;
  #ended;

  static async start() {
    const redis = new Redis();
    const port = await freePort();
    redis.url = `redis://127.0.0.1:${port}`;
    const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    redis.#process = spawn('redis-server', options, { stdio: 'ignore' });
    redis.#ended = new Promise((resolve, reject) => {
      redis.#process.once('exit', resolve);
      redis.#process.once('error', reject);
    });
    await Promise.race([
      until('Redis listens', () => isOpen(port)),
      redis.#ended.then(() => { throw new Error('Redis ended while it started.'); }),
    ]);
    return redis;
  }

  async stop() {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }
}

function isOpen(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (open) => () => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', answer(true)).once('error', answer(false));
  });
}
