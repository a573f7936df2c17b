import { byId, el, showText } from '../dom.js';
import type { AdminApi } from './admin-api.js';
import type { SwitchChange, Switched, Switches } from './types.js';

const NOT_TOLD = 'This hub did it, but Redis is away: the others were not told. Do it again, or on each of them.';

/** The form of one switch. It is changed in place, so that focus and typed text stay. */
interface Control {
  readonly form: HTMLElement;
  show(switches: Switches): void;
}

/** What operators turn while the hub runs. Each change is asked about first. */
export class SwitchesView {
  readonly #api: AdminApi;
  readonly #signal: AbortSignal;
  readonly #controls: readonly Control[];

  constructor(api: AdminApi, signal: AbortSignal) {
    this.#api = api;
    this.#signal = signal;
    this.#controls = [
      this.#toggle('Live updates', 'enableSignalR', 'Turning them off closes every client\'s connection; everything else goes on, and clients can poll.'),
      this.#toggle('Unified stream', 'realtimeStreamingV2', 'Closes the connections of /v2/realtime/stream.'),
      this.#field('Users served live, in per cent', 'rollout', { type: 'number', min: '0', max: '100', required: true }, {
        value: (switches) => String(switches.realtimeRolloutPercent),
        change: (text) => ({ realtimeRolloutPercent: Number(text) }),
        question: (text) => `Serve ${text} % of the users live? The others are disconnected and can poll.`,
      }),
      this.#field('Log filter', 'log-filter', { maxlength: '500', required: true, spellcheck: 'false' }, {
        value: (switches) => switches.logFilter ?? '',
        change: (text) => ({ logFilter: text }),
        question: (text) => `Log by the filter ${text}?`,
      }),
      this.#field('Notice to everybody', 'notice', { maxlength: '500', placeholder: 'none' }, {
        value: (switches) => switches.maintenanceNotice?.message ?? '',
        change: (text) => ({ maintenanceNotice: text ? { message: text } : null }),
        question: (text) => (text ? `Show everybody who is connected: "${text}"?` : 'Take the notice back?'),
      }),
    ];
    signal.addEventListener('abort', () => byId('switches').replaceChildren());
    void this.#try(() => api.switches());
  }

  #show(switches: Switches): void {
    for (const control of this.#controls) control.show(switches);
    const place = byId('switches');
    if (place.childElementCount === 0) place.append(...this.#controls.map(({ form }) => form));
  }

  #toggle(name: string, member: 'enableSignalR' | 'realtimeStreamingV2', warning: string): Control {
    let on = false;
    const button = el('button');
    const state = el('span', { class: 'state' });
    const form = el('form', { 'aria-label': name }, el('span', { class: 'label' }, name), state, button);
    form.onsubmit = (event) => {
      event.preventDefault();
      const question = on ? `Turn off: ${name}? ${warning}` : `Turn on: ${name}?`;
      if (confirm(question)) void this.#turn({ [member]: !on });
    };
    const show = (switches: Switches) => {
      on = switches[member];
      button.className = on ? 'button small danger' : 'button small';
      button.textContent = on ? 'Turn off' : 'Turn on';
      state.dataset['grade'] = on ? 'good' : 'poor';
      state.textContent = on ? 'on' : 'off';
    };
    return { form, show };
  }

  #field(
    name: string,
    id: string,
    attributes: Readonly<Record<string, string | boolean>>,
    { value, change, question }: {
      readonly value: (switches: Switches) => string;
      readonly change: (text: string) => SwitchChange;
      readonly question: (text: string) => string;
    },
  ): Control {
    let shown = '';
    let sent: string | null = null;
    const input = el('input', { id: `switch-${id}`, autocomplete: 'off', ...attributes });
    const form = el('form', { 'aria-label': name }, el('label', { for: `switch-${id}` }, name), input, el('button', { class: 'button small' }, 'Set'));
    form.onsubmit = (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (!confirm(question(text))) return;
      sent = input.value;
      void this.#turn(change(text));
    };
    const show = (switches: Switches) => {
      // What somebody is typing is theirs until they set it.
      const isTyped = input.value !== shown && input.value !== sent;
      shown = value(switches);
      sent = null;
      if (!isTyped) input.value = shown;
    };
    return { form, show };
  }

  #turn(change: SwitchChange): Promise<void> {
    return this.#try(() => this.#api.turn(change));
  }

  async #try(ask: () => Promise<Switched>): Promise<void> {
    let trouble: string | null = null;
    try {
      const switches = await ask();
      if (this.#signal.aborted) return;
      this.#show(switches);
      if (switches.otherHubsTold === false) trouble = NOT_TOLD;
    } catch (error) {
      trouble = (error as Error).message;
    }
    if (!this.#signal.aborted) showText(byId('switches-error'), trouble);
  }
}
