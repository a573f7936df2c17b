// A bar on one line of a terminal; lines of text where there is none.

const WIDTH = 30;

export class ProgressBar {
  #out;
  #drawn = false;
  #last = '';

  constructor(out = process.stdout) {
    this.#out = out;
  }

  /** Shows how far it is, 0 to 100. */
  show(percent, message) {
    const filled = Math.round((Math.max(0, Math.min(100, percent)) / 100) * WIDTH);
    const text = `[${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}] ${String(percent).padStart(3)} %  ${message}`;
    if (text === this.#last) return;
    this.#last = text;
    if (!this.#out.isTTY) {
      this.#out.write(`${text}\n`);
      return;
    }
    this.#out.write(`\r\x1b[2K${text.slice(0, Math.max(20, (this.#out.columns ?? 80) - 1))}`);
    this.#drawn = true;
  }

  /** Writes a line of its own. */
  note(text) {
    this.end();
    this.#out.write(`${text}\n`);
  }

  /** Leaves the bar as it stands. */
  end() {
    if (this.#drawn) this.#out.write('\n');
    this.#drawn = false;
    this.#last = '';
  }
}
