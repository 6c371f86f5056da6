/** The workspace folder of a document; VS Code knows none for the cells of a notebook. */
import * as vscode from "vscode";

/** Of the file; for a cell, of its notebook's file. */
export function folderOf(uri: vscode.Uri): vscode.WorkspaceFolder | undefined {
  return vscode.workspace.getWorkspaceFolder(notebookOf(uri)?.uri ?? uri);
}

function notebookOf(uri: vscode.Uri): vscode.NotebookDocument | undefined {
  const name = uri.toString();
  return vscode.workspace.notebookDocuments.find((notebook) =>
    notebook.getCells().some((cell) => cell.document.uri.toString() === name),
  );
}
