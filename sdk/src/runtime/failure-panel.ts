import type { Bootstrap, FeatureRecord } from './bootstrap';
import type { StartFailure } from './failure';

/** What the panel offers. Without `retry` it is the one-line panel of a facet. */
export interface PanelOptions {
  readonly retry?: () => Promise<boolean>;
}

/**
 * The panel that stands in a feature's place when it does not start.
 *
 * It lives in a shadow root of its own, so that neither the styles of the feature that failed nor
 * those of the one around it can make it unreadable.
 */
export function failurePanel(
  feature: Pick<FeatureRecord, 'displayName' | 'version'>,
  bootstrap: Pick<Bootstrap, 'snapshot'>,
  failure: StartFailure,
  { retry }: PanelOptions = {},
): HTMLElement {
  const panel = document.createElement('div');
  panel.className = 'pilar-failure';
  // A facet may fail in every row of a list at once; only a whole feature interrupts.
  panel.setAttribute('role', retry ? 'alert' : 'note');
  panel.tabIndex = -1;
  panel.dataset['pilarFailure'] = failure.code;

  const root = panel.attachShadow({ mode: 'open' });
  const style = element('style', STYLE);
  const box = element('section');
  box.className = retry ? 'panel' : 'inline';
  const reference = element('code', failure.reference);
  if (retry) {
    const small = element('p', `Version ${feature.version}, snapshot ${bootstrap.snapshot}, reference `);
    small.className = 'small';
    small.append(reference);
    box.append(
      element('h1', feature.displayName),
      element('p', 'This part could not start. The bar above and the other parts keep working.'),
      retryButton(retry, box),
      small,
    );
  } else {
    box.append(element('span', `${feature.displayName}: this part could not start. Reference `), reference);
  }
  root.append(style, box);
  console.error(`[pilar] reference ${failure.reference}: ${failure.message}`, failure.cause ?? '');
  return panel;
}

function retryButton(retry: () => Promise<boolean>, box: HTMLElement): HTMLElement {
  const button = element('button', 'Try again');
  button.type = 'button';
  const note = element('p');
  note.setAttribute('role', 'status');
  button.addEventListener('click', async () => {
    button.disabled = true;
    note.textContent = 'Trying again';
    if (await retry()) return;
    button.disabled = false;
    note.textContent = 'The server does not answer. Try again when the connection is back.';
    box.querySelector('button')?.focus();
  });
  const row = element('div');
  row.className = 'row';
  row.append(button, note);
  return row;
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, text = ''): HTMLElementTagNameMap[K] {
  const created = document.createElement(name);
  created.textContent = text;
  return created;
}

const STYLE = `
:host { display: block; font: 400 1rem/1.5 system-ui, sans-serif; color: light-dark(#1b2733, #e4eaf0); text-align: start; }
:host(:focus) { outline: none; }
:host(:focus-visible) .panel { outline: 2px solid light-dark(#0f766e, #5eead4); outline-offset: 2px; }
.panel { box-sizing: border-box; max-inline-size: 36rem; margin: clamp(1rem, 6vw, 4rem) auto; padding: 1.5rem;
  background: light-dark(#fff, #18212b); border: 1px solid light-dark(#d3dae2, #33404e);
  border-inline-start: 4px solid light-dark(#b45309, #fbbf24); border-radius: 8px; }
h1 { margin: 0 0 .25rem; font-size: 1.25rem; line-height: 1.3; font-weight: 600; }
p { margin: 0 0 1rem; max-inline-size: 60ch; }
.row { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin-block-end: 1rem; min-block-size: 2.75rem; }
.row p { margin: 0; font-size: .875rem; flex: 1 1 12rem; }
button { font: inherit; font-weight: 600; min-block-size: 2.75rem; padding-inline: 1.25rem; border-radius: 6px; cursor: pointer;
  color: light-dark(#fff, #06231f); background: light-dark(#0f766e, #5eead4); border: 1px solid transparent; }
button:hover { background: light-dark(#115e59, #99f6e4); }
button:focus-visible { outline: 2px solid light-dark(#0f766e, #5eead4); outline-offset: 2px; }
button:disabled { opacity: .6; cursor: default; }
.small { margin: 0; font-size: .8125rem; color: light-dark(#526070, #a7b4c2); overflow-wrap: anywhere; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; white-space: nowrap; user-select: all; }
.inline { display: inline-block; padding: .125rem .5rem; border-radius: 4px; font-size: .8125rem; line-height: 1.4;
  border: 1px solid light-dark(#e0b070, #7c5a1e); background: light-dark(#fff7e8, #2b2212); color: light-dark(#6b3c04, #fcd79a); }
`;
