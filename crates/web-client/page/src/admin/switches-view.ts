import { byId, el, showText } from '../dom.js';
import type { AdminApi } from './admin-api.js';
import type { SwitchChange, Switches } from './types.js';

/** What operators turn while the hub runs. Each change is asked about first. */
export class SwitchesView {
  readonly #api: AdminApi;

  constructor(api: AdminApi) {
    this.#api = api;
    void this.#try(() => api.switches());
  }

  #show(switches: Switches): void {
    const forms = [
      this.#toggle('Live updates', 'enableSignalR', switches.enableSignalR, 'Turning them off closes every client\'s connection; everything else goes on, and clients can poll.'),
      this.#toggle('Unified stream', 'realtimeStreamingV2', switches.realtimeStreamingV2, 'Closes the connections of /v2/realtime/stream.'),
      this.#field('Users served live, in per cent', 'rollout', String(switches.realtimeRolloutPercent), { type: 'number', min: '0', max: '100', required: true },
        (text) => ({ realtimeRolloutPercent: Number(text) }), (text) => `Serve ${text} % of the users live? The others are disconnected and can poll.`),
      this.#field('Log filter', 'log-filter', switches.logFilter ?? '', { maxlength: '500', required: true, spellcheck: 'false' },
        (text) => ({ logFilter: text }), (text) => `Log by the filter ${text}?`),
      this.#field('Notice to everybody', 'notice', switches.maintenanceNotice?.message ?? '', { maxlength: '500', placeholder: 'none' },
        (text) => ({ maintenanceNotice: text ? { message: text } : null }), (text) => (text ? `Show everybody who is connected: "${text}"?` : 'Take the notice back?')),
    ];
    byId('switches').replaceChildren(...forms);
  }

  #toggle(name: string, member: 'enableSignalR' | 'realtimeStreamingV2', on: boolean, warning: string): HTMLElement {
    const button = el('button', { class: on ? 'button small danger' : 'button small' }, on ? 'Turn off' : 'Turn on');
    const state = el('span', { class: 'state', 'data-grade': on ? 'good' : 'poor' }, on ? 'on' : 'off');
    const form = el('form', { 'aria-label': name }, el('span', { class: 'label' }, name), state, button);
    form.onsubmit = (event) => {
      event.preventDefault();
      const question = on ? `Turn off: ${name}? ${warning}` : `Turn on: ${name}?`;
      if (confirm(question)) void this.#turn({ [member]: !on });
    };
    return form;
  }

  #field(
    name: string,
    id: string,
    value: string,
    attributes: Readonly<Record<string, string | boolean>>,
    change: (text: string) => SwitchChange,
    question: (text: string) => string,
  ): HTMLElement {
    const input = el('input', { id: `switch-${id}`, value, autocomplete: 'off', ...attributes });
    const form = el('form', { 'aria-label': name }, el('label', { for: `switch-${id}` }, name), input, el('button', { class: 'button small' }, 'Set'));
    form.onsubmit = (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (confirm(question(text))) void this.#turn(change(text));
    };
    return form;
  }

  #turn(change: SwitchChange): Promise<void> {
    return this.#try(() => this.#api.turn(change));
  }

  async #try(ask: () => Promise<Switches>): Promise<void> {
    try {
      this.#show(await ask());
      showText(byId('switches-error'), null);
    } catch (error) {
      showText(byId('switches-error'), (error as Error).message);
    }
  }
}
