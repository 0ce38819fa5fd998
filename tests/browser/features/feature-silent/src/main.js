// Starts when imported, and says so only when the test lets it.

import { getMountElement, registerUnmount } from '@favn/feature-sdk';

window.finishLate = () => {
  getMountElement('silent-root').innerHTML = '<h1>The ward map</h1>';
  registerUnmount(() => {}, 'silent');
};
