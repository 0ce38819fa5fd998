// A static host as one writes it with Hono: files from disk, precompressed variants, and a 304 before a
// file is opened.
import { readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { serve } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";

const [root, port, cacheControl] = process.argv.slice(2);

const etags = new Map();
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const { mtimeMs, size } = statSync(path);
  etags.set(`/${relative(root, path)}`, `"${Math.trunc(mtimeMs).toString(16)}-${size.toString(16)}"`);
}

const app = new Hono();
app.use(async (context, next) => {
  const etag = etags.get(context.req.path);
  if (etag === undefined) return next();
  context.header("etag", etag);
  context.header("cache-control", cacheControl);
  if (context.req.header("if-none-match") === etag) return context.body(null, 304);
  return next();
});
app.use(serveStatic({ root, precompressed: true }));

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) });
server.keepAliveTimeout = 600_000;
