import { Component, type ReactNode } from 'react';

/** Stands in for a view that could not be loaded or drawn; the bar around the feature stays usable. */
export class ViewBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <div className="patients-failed" role="alert">
        <h1>This view could not be shown</h1>
        <p>Nothing was changed. Load the page again; if it stays, tell your support desk.</p>
        <button type="button" onClick={() => location.reload()}>
          Load again
        </button>
      </div>
    );
  }
}
