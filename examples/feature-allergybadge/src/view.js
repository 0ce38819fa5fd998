const MARKS = { severe: '▲', moderate: '◆', mild: '●', none: '✓', unknown: '?' };

/** One line: how severe, and what against. */
export function badge(allergies) {
  const { state, text } = summary(allergies);
  return tag(state, text);
}

/** Every allergy with its reaction. */
export function list(allergies) {
  if (!allergies?.length) return badge(allergies);
  const items = document.createElement('ul');
  for (const { substance, reaction, severity } of allergies) {
    const item = document.createElement('li');
    item.append(tag(severity, substance), ` ${reaction}, ${severity}`);
    items.append(item);
  }
  return items;
}

function summary(allergies) {
  if (allergies === null) return { state: 'unknown', text: 'Allergies not recorded' };
  if (allergies.length === 0) return { state: 'none', text: 'No known allergies' };
  const names = allergies.map(({ substance }) => substance).join(', ');
  return { state: allergies[0].severity, text: `Allergy: ${names}` };
}

function tag(state, text) {
  const element = document.createElement('span');
  element.className = `tag ${state}`;
  const mark = document.createElement('span');
  mark.className = 'mark';
  mark.setAttribute('aria-hidden', 'true');
  mark.textContent = MARKS[state];
  element.append(mark, text);
  return element;
}
