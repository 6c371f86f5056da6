/** Read-only documents of ours: a file with a candidate in it for a diff, and explanations. */
import * as vscode from "vscode";

const SCHEME = "p2assist-preview";
const KEPT = 20;

export class Previews implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly texts = new Map<string, string>();
  private readonly registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  private count = 0;

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.toString()) ?? "";
  }

  /** Opens the buffer beside the buffer with the change made. */
  async diff(document: vscode.TextDocument, { range, newText }: vscode.TextEdit, title: string): Promise<void> {
    const whole = document.getText();
    const changed = whole.slice(0, document.offsetAt(range.start)) + newText + whole.slice(document.offsetAt(range.end));
    const name = document.uri.path.split("/").at(-1) ?? "candidate.py";
    await vscode.commands.executeCommand("vscode.diff", document.uri, this.keep(name, changed), title, { preview: true });
  }

  /** Shows Markdown beside the editor. */
  async explain(markdown: string): Promise<void> {
    const uri = this.keep("Why this completion.md", markdown);
    await vscode.commands.executeCommand("markdown.showPreviewToSide", uri);
  }

  dispose(): void {
    this.registration.dispose();
    this.texts.clear();
  }

  private keep(name: string, text: string): vscode.Uri {
    this.count += 1;
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${this.count}/${name}` });
    this.texts.set(uri.toString(), text);
    const [oldest] = this.texts.keys();
    if (this.texts.size > KEPT && oldest !== undefined) this.texts.delete(oldest);
    return uri;
  }
}
