// Signs and verifies documents the way a Node pipeline does: Node's own Ed25519 over a stable-stringify.
// Reads one request as JSON from standard input, writes one answer to standard output.
//   { "sign": [text, …] }                        → { "publicKeyPem", "documents": [text, …] }
//   { "verify": [text, …], "publicKeyPem": pem } → { "valid": [boolean, …], "stable": [base64, …] }
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import stringify from 'fast-json-stable-stringify';

const KEY_ID = 'node';

const stableBytes = (document) => {
  const { signature: _, ...unsigned } = document;
  return Buffer.from(stringify(unsigned), 'utf8');
};

const signAll = (texts) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const documents = texts.map((text) => {
    const document = JSON.parse(text);
    const value = sign(null, stableBytes(document), privateKey).toString('base64');
    return JSON.stringify({ ...document, signature: { algorithm: 'ed25519', keyId: KEY_ID, value } });
  });
  return { publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }), documents };
};

const verifyAll = (texts, publicKeyPem) => {
  const key = createPublicKey(publicKeyPem);
  const documents = texts.map((text) => JSON.parse(text));
  return {
    valid: documents.map((document) =>
      verify(null, stableBytes(document), key, Buffer.from(document.signature.value, 'base64'))),
    stable: documents.map((document) => stableBytes(document).toString('base64')),
  };
};

const request = JSON.parse(readFileSync(0, 'utf8'));
const answer = request.sign ? signAll(request.sign) : verifyAll(request.verify, request.publicKeyPem);
process.stdout.write(JSON.stringify(answer));
