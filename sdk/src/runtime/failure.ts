/** Why a feature did not start, in words for a log. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';
  /** Short enough to be read out on the phone; the same in the panel and in the console. */
  readonly reference: string;

  constructor(
    readonly code: 'bootstrap-timeout' | 'load-failed' | 'mount-failed' | 'update-failed' | 'unknown-feature' | 'no-mount-export',
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.reference = newReference();
  }
}

// Without letters and digits that sound or look alike.
const ALPHABET = '23456789ABCDEFGHKMNPRTUVWXYZ';

function newReference(): string {
  const picks = crypto.getRandomValues(new Uint32Array(6));
  const text = Array.from(picks, (pick) => ALPHABET[pick % ALPHABET.length]).join('');
  return `${text.slice(0, 3)}-${text.slice(3)}`;
}
