/** Runs code of one party so that its failure cannot stop the others; the failure is logged. */
export function isolate(what: string, run: () => unknown): void {
  const log = (cause: unknown): void => console.error(`[pilar] ${what} failed`, cause);
  try {
    const result = run();
    if (result instanceof Promise) result.catch(log);
  } catch (cause) {
    log(cause);
  }
}
