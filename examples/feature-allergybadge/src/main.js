// A facet: other features mount it with { patientId, view }. `view` is "badge" (one line, the
// default) or "list" (every allergy with its reaction).

import { allergiesOf } from './allergies.js';
import { badge, list } from './view.js';

export function mount(target, context) {
  update(target, context);
}

export function update(target, { props }) {
  const allergies = allergiesOf(props.patientId);
  target.replaceChildren(props.view === 'list' ? list(allergies) : badge(allergies));
}

export function unmount(target) {
  target.replaceChildren();
}
