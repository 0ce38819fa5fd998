import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

// Headers about the connection to the host, which is not the mirror's own.
const HOP = ['connection', 'keep-alive', 'transfer-encoding', 'content-length'];

/**
 * A server that hands out what a host serves, headers included, without verifying anything, and
 * with other bytes at one path. With `vouched` its pages name the hash of those other bytes, which
 * shows what would happen if nobody noticed.
 */
export async function startMirror(t, { of, path, was, now, vouched = false }) {
  const original = await bytesAt(of, path);
  const altered = alter(original, was, now);
  const mirror = { mended: false };

  const server = createServer(async (request, response) => {
    // Without the conditions of the browser's request: a 304 would bring no bytes to change.
    const reply = await fetch(of + request.url, {
      method: request.method,
      headers: { accept: request.headers.accept ?? '*/*', 'accept-encoding': 'identity' },
      redirect: 'manual',
    });
    let body = Buffer.from(await reply.arrayBuffer());
    const passed = Object.fromEntries([...reply.headers].filter(([name]) => !HOP.includes(name)));
    if (!mirror.mended && new URL(request.url, of).pathname === path) body = altered;
    if (vouched && passed['content-type']?.startsWith('text/html')) {
      const vouch = (text) => text.replaceAll(integrity(original), integrity(altered));
      body = Buffer.from(vouch(body.toString()));
      if (passed.link) passed.link = vouch(passed.link);
      passed['content-security-policy'] = passed['content-security-policy'].replace(
        /'sha256-[^']+'/,
        `'${integrity(importMapOf(body.toString()))}'`,
      );
    }
    response.writeHead(reply.status, passed).end(request.method === 'HEAD' ? undefined : body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  mirror.url = `http://localhost:${server.address().port}`;
  return mirror;
}

async function bytesAt(url, path) {
  const reply = await fetch(url + path, { headers: { 'accept-encoding': 'identity' } });
  if (!reply.ok) throw new Error(`${path} answered ${reply.status}`);
  return Buffer.from(await reply.arrayBuffer());
}

/** Replaces text that must be there once by text that differs in one byte. */
export function alter(bytes, was, now) {
  const at = bytes.indexOf(was);
  if (at < 0 || bytes.indexOf(was, at + 1) >= 0) throw new Error(`${JSON.stringify(was)} should be there once`);
  const altered = Buffer.from(bytes);
  altered.write(now, at);
  const differing = altered.filter((byte, index) => byte !== bytes[index]).length;
  if (altered.length !== bytes.length || differing !== 1) throw new Error('exactly one byte should differ');
  return altered;
}

const integrity = (bytes) => `sha256-${createHash('sha256').update(bytes).digest('base64')}`;

function importMapOf(html) {
  return html.match(/<script type="importmap">(.*?)<\/script>/s)[1];
}
