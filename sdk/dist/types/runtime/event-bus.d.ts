/** Receives the payload of one event. */
export type EventHandler = (payload: unknown) => void;
/**
 * Events between features, delivered synchronously, in order of subscription.
 * There is no replay: who subscribes later asks the store for the current state.
 */
export declare class EventBus {
    #private;
    publish(namespace: string, event: string, payload?: unknown): void;
    /** Returns the function that ends the subscription. */
    subscribe(namespace: string, event: string, handler: EventHandler): () => void;
}
