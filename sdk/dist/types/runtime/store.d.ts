/** Receives the new and the previous value of one key. */
export type ChangeHandler = (value: unknown, previous: unknown) => void;
/** State shared by the features of one page. It lives in memory and ends with the document. */
export declare class Store {
    #private;
    get(key: string, fallback?: unknown): unknown;
    /** Tells the listeners, unless the value is the one already held (`Object.is`). */
    set(key: string, value: unknown): void;
    /** Returns the function that ends the subscription. */
    onChange(key: string, handler: ChangeHandler): () => void;
}
