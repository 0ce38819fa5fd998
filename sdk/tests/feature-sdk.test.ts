import { beforeEach, describe, expect, test, vi } from 'vitest';
import { domain } from './page-fixture';

const defaults = { defaultFeatureId: 'list', defaultBasename: '/standalone', defaultDomElementId: 'root' };

/** The SDK as a feature imports it, on a page that holds `html`. */
async function sdkOn(html: string) {
  document.body.innerHTML = html;
  vi.resetModules();
  return import('../src/feature-sdk/index');
}

const bootstrap = (content: unknown) =>
  `<script type="application/json" id="pilar-bootstrap">${JSON.stringify(content)}</script>`;

beforeEach(() => document.body.replaceChildren());

describe('getBootstrapConfig', () => {
  test('gives what the host says about the feature', async () => {
    const sdk = await sdkOn(bootstrap({ hostVersion: '2.0.0', features: { list: domain('list') } }));
    expect(sdk.getBootstrapConfig(defaults)).toEqual({
      featureId: 'list',
      version: '1.0.0',
      basename: '/list',
      domElementId: 'list-root',
      hostVersion: '2.0.0',
    });
  });

  test('gives the defaults on a page without a shell', async () => {
    const sdk = await sdkOn('');
    expect(sdk.getBootstrapConfig(defaults)).toEqual({
      featureId: 'list',
      version: '0.0.0',
      basename: '/standalone',
      domElementId: 'root',
      hostVersion: '0.0.0',
    });
  });

  test('a bootstrap document that is not JSON is named as the fault', async () => {
    const page = '<script type="application/json" id="pilar-bootstrap">{</script>';
    await expect(sdkOn(page)).rejects.toThrow('#pilar-bootstrap of the shell page is not JSON');
  });
});

test('getMountElement finds the element, or names what is missing', async () => {
  const sdk = await sdkOn('<div id="root"></div>');
  expect(sdk.getMountElement('root')).toBe(document.getElementById('root'));
  expect(() => sdk.getMountElement('other')).toThrow('no element with id "other"');
});

test('getFeatureShadowRoot is null where nothing is isolated', async () => {
  const sdk = await sdkOn('');
  expect(sdk.getFeatureShadowRoot()).toBeNull();
  expect(sdk.getFeatureShadowRoot('list')).toBeNull();
});

test('features on one page talk through the same bus and the same store', async () => {
  const sdk = await sdkOn('');
  const one = sdk.createFeatureHostApi('one');
  const two = sdk.createFeatureHostApi('two');
  const heard = vi.fn();
  two.eventBus.subscribe('one', 'ping', heard);
  one.eventBus.publish('one', 'ping', 1);
  one.store.set('shared', 2);
  expect(heard).toHaveBeenCalledExactlyOnceWith(1);
  expect(two.store.get('shared')).toBe(2);
});

test('the package that features install exports what the sources do', async () => {
  const sources = await sdkOn('');
  const installed = await import('@favn/feature-sdk');
  expect(Object.keys(installed).sort()).toEqual(Object.keys(sources).sort());
});
