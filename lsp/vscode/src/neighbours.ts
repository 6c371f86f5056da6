/** Other extensions that offer ghost text: we say so, and count only what is certainly ours. */

const OTHERS: Readonly<Record<string, string>> = {
  "amazonwebservices.amazon-q-vscode": "Amazon Q",
  "augment.vscode-augment": "Augment",
  "codeium.codeium": "Windsurf",
  "continue.continue": "Continue",
  "ggml-org.llama-vscode": "llama.vscode",
  "github.copilot": "Copilot",
  "github.copilot-chat": "Copilot",
  "huggingface.huggingface-vscode": "llm-vscode",
  "sourcegraph.cody-ai": "Cody",
  "supermaven.supermaven": "Supermaven",
  "tabbyml.vscode-tabby": "Tabby",
  "tabnine.tabnine-vscode": "Tabnine",
  "visualstudioexptteam.vscodeintellicode-completions": "IntelliCode",
};

/** Their names, each once, in order, of the active extensions given by id. */
export function neighbours(activeIds: readonly string[]): readonly string[] {
  const names = activeIds.map((id) => OTHERS[id.toLowerCase()]).filter((name) => name !== undefined);
  return [...new Set(names)].sort();
}
