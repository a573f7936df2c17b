// A network between a client and the hub that can fail.
import { connect, createServer } from 'node:net';
import { freePort } from './system.mjs';

export class Network {
  #server;
  #sockets = new Set();
  #up = true;

  static async to(port) {
    const network = new Network();
    network.port = await freePort();
    network.url = `http://localhost:${network.port}`;
    network.#server = createServer((socket) => network.#carry(socket, port));
    await new Promise((resolve) => network.#server.listen(network.port, '::', resolve));
    return network;
  }

  /** Nothing passes, and nobody is told: what a tunnel does. */
  freeze() {
    this.#up = false;
    for (const socket of this.#sockets) socket.pause();
  }

  /** What was under way is lost; new connections work. */
  thaw() {
    this.#up = true;
    this.cut();
  }

  /** Every connection breaks off. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  close() {
    this.cut();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(near, port) {
    const far = connect(port, 'localhost');
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      from.on('data', (data) => to.write(data));
      from.on('end', () => to.end());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      // Breaking off is what it is for.
      from.on('error', () => undefined);
      if (!this.#up) from.pause();
    }
  }
}
