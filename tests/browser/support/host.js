import { cleanEnvironment, hostBinary, run } from './environment.js';
import { Running } from './process.js';
import { trust } from './release.js';

/** Starts a production host on a free port and stops it with the test. */
export async function startHost(t, { artifacts, env = {} }) {
  const host = new Running(hostBinary(), [], {
    cwd: run(),
    env: {
      ...cleanEnvironment(),
      ...trust(),
      NODE_ENV: 'production',
      NO_COLOR: '1',
      HOST_BIND: '127.0.0.1',
      PORT: '0',
      HOST_DRAIN_SECONDS: '0',
      ARTIFACTS_DIR: artifacts,
      ...env,
    },
  });
  t.after(() => host.stop());
  const [, url] = await host.printed(/^pilar-host \S+ listens on (http:\/\/localhost:\d+)$/);
  return { url, health: (featureId = '') => health(url, featureId) };
}

async function health(url, featureId) {
  const reply = await fetch(`${url}/_health${featureId && `/${featureId}`}`);
  return { status: reply.status, ...(await reply.json()) };
}
