import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { KubernetesObject } from '../kubernetes.ts'
import { type RenderSource, renderSourcesOf } from './application-sources.ts'
import { hashOf, type Rendering, type RenderOptions, renderKustomization } from './kustomize.ts'
import { parseManifests } from './manifests.ts'

/**
 * Renders what an Application (Argo CD) or a Kustomization (Flux) brings, from all of its sources. Throws what
 * {@link renderKustomization} throws, and Fault `render-unsupported`.
 * @param at where the Application stands, for messages: `argocd/grafana.yaml:4:7`
 */
export async function renderApplication(
  application: KubernetesObject,
  at: string,
  options: RenderOptions,
): Promise<Rendering> {
  const parts: Omit<Rendering, 'sha256'>[] = []
  for (const source of renderSourcesOf(application, options.root))
    parts.push(await renderSource(source, at, options))
  const objects = parts.flatMap(p => p.objects)
  return {
    objects,
    sha256: hashOf(objects),
    tools: [...new Set(parts.flatMap(p => p.tools))],
    remote: parts.flatMap(p => p.remote),
  }
}

async function renderSource(
  source: RenderSource,
  at: string,
  options: RenderOptions,
): Promise<Omit<Rendering, 'sha256'>> {
  switch (source.kind) {
    case 'kustomization':
      return renderKustomization(source.folder, options)
    case 'plain':
      return { objects: plainManifests(source.folder, source.recurse, options.root), tools: [], remote: [] }
    case 'made': {
      const folder = mkdtempSync(join(tmpdir(), 'recover-source-'))
      try {
        for (const [name, text] of Object.entries(source.files))
          writeFileSync(join(folder, name), text, { mode: 0o600 })
        return await renderKustomization(folder, { ...options, root: folder, namedAt: at })
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    }
  }
}

function plainManifests(folder: string, recurse: boolean, root: string): KubernetesObject[] {
  return readdirSync(folder)
    .sort()
    .map(name => join(folder, name))
    .flatMap(path => {
      if (statSync(path).isDirectory()) return recurse ? plainManifests(path, recurse, root) : []
      return /\.(ya?ml|json)$/.test(path)
        ? parseManifests(readFileSync(path, 'utf8'), relative(root, path))
        : []
    })
}
