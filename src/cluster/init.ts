import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { Fault } from '../runbook/fault.ts'
import {
  answer,
  type Finding,
  newPage,
  oneLine,
  type Page,
  type Question,
  questionsOf,
  yamlScalar,
} from './init-questions.ts'
import { type Claim, type Inventory, readInventory } from './inventory.ts'
import { isLiteral, type K0sctlFile, type K0sHost, readK0sctl } from './k0sctl-file.ts'
import { kustomizationOf } from './kustomization.ts'
import { loadCluster } from './load.ts'
import { ClusterFileFault, type Problem } from './problem.ts'
import { showSize } from './size.ts'
import { readYaml } from './yaml-file.ts'

export { answer, parseAnswers } from './init-questions.ts'

export interface InitOptions {
  /** Root of the GitOps repository; only ever read. */
  repository: string
  /** The cluster file to write. */
  output: string
  /** k0sctl.yaml; found in the repository when not given. */
  k0sctl?: string | undefined
  /** Whether a file that is there may be replaced. */
  force?: boolean
  /** Dotted path of a question to its answer. */
  answers?: Record<string, string>
  env?: NodeJS.ProcessEnv
}

/** What {@link init} found and wrote. */
export interface InitResult {
  /** Absolute path of the file that was written. */
  file: string
  /** What is still open, in the order of the file. */
  questions: Question[]
  /** What is wrong with the file as it is, apart from open questions: a wrong answer, most often. */
  problems: Problem[]
  hosts: { name: string; role: string; address: string | undefined }[]
  claims: Claim[]
  applications: Applications
  remote: Inventory['remote']
  missing: Inventory['missing']
}

/** Where Argo CD's Applications come from: a folder of them, or folders that become one each. */
export type Applications =
  | { from: 'folder'; folder: string; names: string[] }
  | { from: 'generated'; generate: string[]; folders: string[] }
  | { from: 'unknown' }

/**
 * Reads a person's k0sctl.yaml and GitOps repository as they are and writes a cluster file in which everything that
 * they say is derived and everything else is a question. Writes that one file and changes nothing else.
 * Throws Faults `init-would-overwrite`, `init-no-repository`, `init-no-k0sctl`, `init-which-k0sctl`,
 * `init-hosts-alike`, `init-no-such-question`, `init-cannot-write`, and {@link ClusterFileFault} when a file of the
 * person's cannot be read.
 */
export function init(options: InitOptions): InitResult {
  const env = options.env ?? process.env
  const file = resolve(options.output)
  if (existsSync(file) && !options.force) throw wouldOverwrite(options.output)
  const sources = readSources(options, file, env)
  const text = answer(draft(sources), options.answers ?? {})
  write(file, text, options)
  const questions = questionsOf(text, shortest(file))
  return {
    file,
    questions,
    problems: problemsIn(file, questions, env),
    hosts: sources.k0sctl.hosts.map(host => {
      const address = addressOf(host)
      return { name: host.name, role: host.role, address: 'value' in address ? address.value : undefined }
    }),
    claims: sources.inventory.claims,
    applications: sources.applications,
    remote: sources.inventory.remote,
    missing: sources.inventory.missing,
  }
}

/** The person's files, read. */
interface Sources {
  repository: string
  k0sctlFile: string
  k0sctl: K0sctlFile
  inventory: Inventory
  bootstrap: string | undefined
  applications: Applications
  /** A path as the cluster file has it: relative to its folder. */
  shown(path: string): string
}

function readSources(options: InitOptions, file: string, env: NodeJS.ProcessEnv): Sources {
  const repository = resolve(options.repository)
  if (!existsSync(repository) || !statSync(repository).isDirectory())
    throw new Fault({
      code: 'init-no-repository',
      blame: 'operator',
      message: `${options.repository} is no folder`,
      remedy: 'Name the folder that holds your GitOps repository, checked out on this computer',
    })
  const shown = (path: string) => {
    const way = relative(dirname(file), path)
    return way === '' ? '.' : way.startsWith('.') ? way : `./${way}`
  }
  const k0sctlFile = options.k0sctl === undefined ? findK0sctl(repository) : resolve(options.k0sctl)
  const k0sctl = readK0sctl(k0sctlFile, env, shown(k0sctlFile))
  const alike = k0sctl.hosts.find((host, i) => k0sctl.hosts.findIndex(h => h.name === host.name) !== i)
  if (alike)
    throw new Fault({
      code: 'init-hosts-alike',
      blame: 'operator',
      message: `${shown(k0sctlFile)} has two hosts with the short name ${alike.name}`,
      remedy: 'Give each of them a `hostname` of its own in k0sctl.yaml',
      at: k0sctl.at(['spec', 'hosts']),
    })
  const inventory = readInventory(repository)
  const bootstrap = bootstrapOf(inventory)
  const applications = applicationsOf(inventory, repository, bootstrap)
  return { repository, k0sctlFile, k0sctl, inventory, bootstrap, applications, shown }
}

function findK0sctl(repository: string): string {
  const usual = ['k0sctl.yaml', 'k0sctl.yml']
    .map(name => join(repository, name))
    .find(path => existsSync(path))
  if (usual !== undefined) return usual
  const found = filesBelow(repository).filter(path => /^k0sctl.*\.ya?ml$/.test(basename(path)))
  if (found.length === 1 && found[0] !== undefined) return found[0]
  throw found.length === 0
    ? new Fault({
        code: 'init-no-k0sctl',
        blame: 'operator',
        message: `there is no k0sctl.yaml in ${repository}`,
        remedy: 'Say where it is with --k0sctl FILE',
      })
    : new Fault({
        code: 'init-which-k0sctl',
        blame: 'operator',
        message: `${repository} holds several: ${found.map(path => relative(repository, path)).join(', ')}`,
        remedy: 'Say which one it is with --k0sctl FILE',
      })
}

function filesBelow(folder: string, depth = 0): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => a.name.localeCompare(b.name))
    .flatMap(entry => {
      if (entry.name.startsWith('.') || entry.name === 'node_modules' || entry.name === 'charts') return []
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return depth < 8 ? filesBelow(path, depth + 1) : []
      return entry.isFile() ? [path] : []
    })
}

/** The folder by whose name its owner says that it comes first. */
function bootstrapOf(inventory: Inventory): string | undefined {
  const named = inventory.folders.filter(folder => /(^|[-_0-9])bootstrap$/.test(basename(folder)))
  return named.length === 1 ? named[0] : undefined
}

function applicationsOf(inventory: Inventory, root: string, bootstrap: string | undefined): Applications {
  const { applications, applicationSets } = inventory
  if (applications.length > 0)
    return {
      from: 'folder',
      folder: commonFolder(applications.map(a => a.at)),
      names: applications.map(a => a.name),
    }
  const generates = applicationSets.flatMap(set => set.generates)
  if (generates.length > 0) return { from: 'generated', generate: generates, folders: [] }
  // What the bootstrap takes in stays an application too: Argo CD keeps it up to date afterwards, as it does itself.
  const others = inventory.folders.filter(folder => folder !== bootstrap)
  const inside = new Set(others.flatMap(folder => takenIn(root, folder)))
  const folders = others.filter(folder => folder !== '.' && !inside.has(folder))
  const parents = [...new Set(folders.map(folder => dirname(folder)))].sort()
  const generate = parents.flatMap(parent => {
    const here = folders.filter(folder => dirname(folder) === parent)
    const all = others.filter(folder => dirname(folder) === parent)
    return parent !== '.' && here.length === all.length && here.length > 1 ? [`${parent}/*`] : here
  })
  return generate.length > 0 ? { from: 'generated', generate, folders } : { from: 'unknown' }
}

/** Folders of the repository that a kustomization takes in, relative to the repository. */
function takenIn(root: string, folder: string): string[] {
  const file = kustomizationOf(join(root, folder))
  if (file === undefined) return []
  const value = (readYaml(file, relative(root, file))[0]?.value ?? {}) as Record<string, unknown>
  return ['resources', 'bases', 'components'].flatMap(field => {
    const entries = value[field]
    return (Array.isArray(entries) ? entries : [])
      .filter((entry): entry is string => typeof entry === 'string' && !/^\w+:\/\/|\?ref=/.test(entry))
      .map(entry => resolve(root, folder, entry))
      .filter(path => existsSync(path) && statSync(path).isDirectory())
      .map(path => relative(root, path) || '.')
  })
}

/** The deepest folder that holds all of some places (`argocd/grafana.yaml:2:1`). */
function commonFolder(places: string[]): string {
  const folders = places.map(at => dirname(at.replace(/(:\d+){1,2}$/, '')).split('/'))
  const [first = []] = folders
  const shared = first.findIndex((part, i) => folders.some(folder => folder[i] !== part))
  return (shared === -1 ? first : first.slice(0, shared)).join('/') || '.'
}

/** The text of a cluster file, with its questions. */
function draft(sources: Sources): string {
  const { k0sctl, inventory, repository, shown } = sources
  const page = newPage()
  const schema = packaged('docs/recover.schema.json')
  if (schema !== undefined) page.row(0, `yaml-language-server: $schema=${encodeURI(shown(schema))}`)
  page.comment(
    0,
    'What cannot be read in your other files; what they say is read there. Paths are relative to this file.',
  )
  page.comment(0, 'Wherever "?" stands only you know the answer; the comment beside it says how to find out.')
  page.put(0, 'cluster', yamlScalar(k0sctl.name))
  page.put(0, 'k0sctl', yamlScalar(shown(sources.k0sctlFile)))
  page.open(0, 'gitops')
  page.put(2, 'repository', yamlScalar(shown(repository)))
  page.find(2, 'remote', remoteOf(inventory, repository))
  page.find(2, 'bootstrap', bootstrapFinding(sources))
  draftApplications(sources, page)
  page.open(0, 'hosts')
  for (const [i, host] of k0sctl.hosts.entries()) draftHost(host, i === 0, sources, page)
  page.open(0, 'nas')
  const nas = nasOf(inventory)
  page.find(2, 'synology', nas, 'first')
  const nasHost = 'value' in nas ? nas.value.replace('https://', '') : 'ADDRESS:5001'
  page.find(2, 'fingerprint', {
    question: `SHA-256 of the certificate that the NAS shows, written as sha256:HEX; nothing is sent to a NAS that shows another one. This prints the HEX; run it from a network that you trust:\nopenssl s_client -connect ${nasHost} </dev/null 2>/dev/null | openssl x509 -outform der | sha256sum`,
  })
  page.put(
    2,
    'credentials',
    'nas',
    'the secret that holds username and password; in the environment RECOVER_SECRET_NAS_USERNAME and RECOVER_SECRET_NAS_PASSWORD',
  )
  draftSecrets(inventory, page)
  draftVolumes(inventory, page)
  draftChecks(inventory, page)
  return page.text()
}

function bootstrapFinding({ inventory, repository, bootstrap, shown }: Sources): Finding {
  if (bootstrap === undefined)
    return {
      question: `the kustomization to apply before Argo CD can do the rest: its folder, relative to this file${inventory.folders.length > 0 ? `; there are: ${inventory.folders.slice(0, 12).join(', ')}` : ''}; write [] when there is none`,
    }
  const inside = takenIn(repository, bootstrap)
  const absent = inventory.missing.filter(m => dirname(m.at).startsWith(bootstrap)).map(m => m.file)
  const why = [
    inside.length > 0 ? `takes in ${inside.join(', ')}` : 'a kustomization',
    ...(absent.length > 0 ? [`names what is not here: ${absent.join(', ')}`] : []),
  ]
  return { value: shown(join(repository, bootstrap)), why: why.join('; ') }
}

function draftApplications({ applications, inventory, repository, shown }: Sources, page: Page): void {
  if (applications.from === 'folder') {
    const folder = yamlScalar(shown(join(repository, applications.folder)))
    page.put(2, 'applications', folder, `${count(applications.names.length, 'Argo CD Application')} in Git`)
    return
  }
  if (applications.from === 'unknown') {
    page.find(2, 'applications', {
      question:
        'no Argo CD Application and no kustomization is in Git: the folder with the Applications, relative to this file',
    })
    return
  }
  const { generate, folders } = applications
  if (folders.length === 0)
    page.comment(2, 'The folders that the ApplicationSets in Git generate Applications for.')
  else {
    const counted = [...new Set(folders.map(f => dirname(f)))].map(
      parent =>
        `${folders.filter(f => dirname(f) === parent).length} in ${parent === '.' ? 'the root' : parent}`,
    )
    const projects = inventory.projects.map(p => p.name)
    page.comment(
      2,
      `No Argo CD Application is in Git, so each of these folders (${counted.join(', ')}) becomes one, named after it, but those that the bootstrap takes in.`,
    )
    if (projects.length > 0)
      page.comment(
        2,
        `They belong to the project "default" unless you add \`project: NAME\`; AppProjects in Git: ${projects.join(', ')}.`,
      )
  }
  page.put(2, 'applications', `{ generate: [${generate.map(yamlScalar).join(', ')}] }`)
}

function draftHost(host: K0sHost, first: boolean, sources: Sources, page: Page): void {
  page.open(2, host.name)
  page.find(4, 'address', addressOf(host), 'first')
  page.find(4, 'ignition', ignitionOf(host.name, sources))
  page.open(4, 'image')
  page.find(
    6,
    'file',
    {
      question: first
        ? 'the Flatcar image to install, downloaded beforehand: flatcar_production_image.bin.bz2'
        : 'the image for this host; the same file as above if its architecture is the same',
    },
    'first',
  )
  page.find(6, 'sha256', { question: 'its SHA-256, once its signature is checked; sha256sum FILE prints it' })
  page.open(4, 'disk')
  page.find(
    6,
    'serial',
    {
      question: `the only disk of ${host.name} that may ever be wiped; on it: lsblk -d -o NAME,SIZE,MODEL,SERIAL`,
    },
    'first',
  )
  page.put(
    4,
    'install',
    '[by-hand]',
    first
      ? 'you boot it from the stick when asked; put ssh before it if an installer answers there'
      : undefined,
  )
}

function addressOf(host: K0sHost): Finding {
  if (host.literal) return { value: host.address, why: "k0sctl.yaml's" }
  const { privateAddress } = host
  if (privateAddress !== undefined && isLiteral(privateAddress))
    return {
      value: privateAddress,
      why: `its privateAddress; ${host.address} is a DNS name that this very cluster may serve`,
    }
  return {
    question: `its literal address; k0sctl.yaml has only ${host.address}, a name that this very cluster may serve: dig +short ${host.address}`,
  }
}

/** The Ignition config that is called after the host; secret, so often not in Git but in the working copy. */
function ignitionOf(name: string, { repository, k0sctlFile, shown }: Sources): Finding {
  const places = [...new Set([repository, dirname(k0sctlFile)])].flatMap(folder =>
    folder === repository ? filesBelow(folder) : siblings(folder),
  )
  const called = (ending: string) =>
    [...new Set(places)].filter(path => {
      const parts = basename(path).split('.')
      return parts[0] === name && parts.at(-1) === ending
    })
  const ready = called('ign')
  if (ready.length === 1 && ready[0] !== undefined)
    return { value: shown(ready[0]), why: 'the one that is called after the host' }
  if (ready.length > 1)
    return { question: `the Ignition config of ${name}: which of ${ready.map(shown).join(', ')}?` }
  const [butane, another] = called('bu')
  if (butane !== undefined && another === undefined)
    return { value: shown(butane), why: 'the Butane file that is called after the host' }
  const source = butane === undefined ? `${name}.bu` : shown(butane)
  return {
    question: `the Ignition config of ${name}, a file kept out of Git; made from Butane with:\nbutane --strict ${source} > ${name}.ign`,
  }
}

function siblings(folder: string): string[] {
  return readdirSync(folder)
    .map(name => join(folder, name))
    .filter(path => existsSync(path) && statSync(path).isFile())
}

function nasOf(inventory: Inventory): Finding {
  // The provisioner's name and its parameter `dsm` are synology-csi's; 5001 is DSM's HTTPS port as delivered.
  const classes = inventory.storageClasses.filter(c => c.provisioner === 'csi.san.synology.com')
  const named = [...new Set(classes.flatMap(c => c.parameters.dsm ?? []))]
  const [dsm] = named
  if (named.length === 1 && dsm !== undefined) {
    const which = classes.find(c => c.parameters.dsm === dsm)
    const host = dsm.includes(':') ? `[${dsm}]` : dsm
    return {
      value: `https://${host}:5001`,
      why: `StorageClass ${which?.name}; 5001 is DSM's usual port for HTTPS`,
    }
  }
  return {
    question:
      named.length > 1
        ? `which NAS is it, https://ADDRESS:5001? The StorageClasses name ${named.join(', ')}`
        : 'https://ADDRESS:5001 of the Synology NAS; client-info.yml of synology-csi has its host',
  }
}

function remoteOf(inventory: Inventory, repository: string): Finding {
  const said = [
    ...new Set(
      [...inventory.applications, ...inventory.applicationSets].flatMap(a =>
        a.repository === undefined || a.repository.includes('{{') ? [] : [a.repository],
      ),
    ),
  ]
  if (said.length === 1 && said[0] !== undefined)
    return { value: withoutLogin(said[0]), why: 'repoURL of the Applications in Git' }
  const origin = originOf(repository)
  if (origin !== undefined) return { value: withoutLogin(origin), why: 'origin of the repository' }
  return {
    question:
      'the URL from which Argo CD reads this repository; where you push from: git remote get-url origin',
  }
}

/** The URL of `origin`, or of the only remote there is, in the repository's own settings. */
function originOf(repository: string): string | undefined {
  const dot = join(repository, '.git')
  if (!existsSync(dot)) return undefined
  const remotes = new Map<string, string>()
  let remote: string | undefined
  for (const line of readIfThere(join(gitFolder(dot), 'config')).split('\n')) {
    const section = /^\s*\[\s*(\w+)(?:\s+"(.*)")?\s*\]/.exec(line)
    if (section) remote = section[1] === 'remote' ? section[2] : undefined
    const url = /^\s*url\s*=\s*"?([^"#;\s]+)/.exec(line)?.[1]
    if (remote !== undefined && url !== undefined && !remotes.has(remote)) remotes.set(remote, url)
  }
  return remotes.get('origin') ?? (remotes.size === 1 ? [...remotes.values()][0] : undefined)
}

/** Where a repository's settings lie: `.git` is a file in a worktree and in a submodule. */
function gitFolder(dot: string): string {
  if (statSync(dot).isDirectory()) return dot
  const named = /^gitdir:\s*(.+)$/m.exec(readIfThere(dot))?.[1]
  if (named === undefined) return dot
  const folder = resolve(dirname(dot), named.trim())
  const common = readIfThere(join(folder, 'commondir')).trim()
  return common === '' ? folder : resolve(folder, common)
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** A token in a URL is a secret, which no file of ours may hold; a user name for SSH (`git@`) is none. */
function withoutLogin(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, '$1').replace(/^(\w+:\/\/[^/:@]*):[^/@]*@/, '$1@')
}

function draftSecrets(inventory: Inventory, page: Page): void {
  const vaults = [
    ...new Set(inventory.items.flatMap(item => /^vaults\/([^/]+)\/items\//.exec(item.path)?.[1] ?? [])),
  ]
  page.open(0, 'secrets')
  if (vaults.length === 0) {
    page.put(2, 'from', '[environment]', 'no 1Password item is in Git')
    return
  }
  page.put(2, 'from', '[onepassword, environment]', 'where a secret is looked for, in this order')
  page.find(
    2,
    'vault',
    vaults.length === 1
      ? { value: vaults[0] ?? '', why: `of ${count(inventory.items.length, 'OnePasswordItem')} in Git` }
      : { question: `in which of the vaults that Git names is the secret of the NAS: ${vaults.join(', ')}?` },
  )
}

function draftVolumes({ claims, volumes, storageClasses }: Inventory, page: Page): void {
  if (claims.length === 0) page.comment(0, 'No claim is in Git.')
  else {
    page.comment(0, `${count(claims.length, 'claim')} in Git, with size, storage class and owner:`)
    const columns = (of: (claim: Claim) => string) => Math.max(...claims.map(c => of(c).length))
    const size = (c: Claim) => showSize(c.sizeBytes)
    const storage = (c: Claim) => c.storageClass ?? '(default class)'
    for (const claim of claims)
      page.row(
        0,
        [
          `  ${claim.id}`.padEnd(columns(c => c.id) + 2),
          size(claim).padStart(columns(size)),
          storage(claim).padEnd(columns(storage)),
          claim.owners.join(', ') || 'mounted by nothing in Git',
        ].join('  '),
      )
    const inGit = claims.filter(c => volumes.some(v => v.claim === c.id)).length
    page.comment(
      0,
      inGit === claims.length
        ? 'A PersistentVolume in Git says for each which LUN is its own.'
        : `${inGit === 0 ? 'No PersistentVolume in Git says' : `Only for ${inGit} of them a PersistentVolume in Git says`} which LUN is whose, so that is found out from the NAS.`,
    )
    const elsewhere = claims.filter(c =>
      storageClasses.some(s => s.name === c.storageClass && s.provisioner !== 'csi.san.synology.com'),
    )
    if (elsewhere.length > 0)
      page.comment(0, `Not on the NAS, by their storage class: ${elsewhere.map(c => c.id).join(', ')}.`)
  }
  page.comment(
    0,
    'adopt: the old LUN itself; copy: its files to a new one; clone: a copy on the NAS; new: an empty one.',
  )
  page.comment(0, 'A single claim may come back another way: `NAMESPACE/CLAIM: copy`.')
  page.open(0, 'volumes')
  page.put(2, 'default', 'adopt')
}

function draftChecks({ hosts }: Inventory, page: Page): void {
  const names = [...new Set(hosts.map(h => h.host))].filter(name => /^[a-z0-9.-]+$/i.test(name))
  if (names.length === 0) return
  page.comment(
    0,
    'What must answer when all is well. Guesses from the Ingresses in Git: remove or correct what answers otherwise (a login page may answer 302).',
  )
  page.open(0, 'checks')
  for (const name of names) page.item(2, `{ http: ${yamlScalar(`https://${name}/`)}, status: 200 }`)
}

/** A file of this package, wherever it is installed and whether it is compiled or not; undefined when it has none. */
function packaged(path: string): string | undefined {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, path))) return join(folder, path)
    if (dirname(folder) === folder) return undefined
  }
}

function write(file: string, text: string, { output, force }: InitOptions): void {
  try {
    // `wx` refuses by itself what came into being since the first look.
    writeFileSync(file, text, { flag: force ? 'w' : 'wx' })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw wouldOverwrite(output)
    throw new Fault({
      code: 'init-cannot-write',
      blame: 'operator',
      message: `${output} cannot be written: ${(cause as NodeJS.ErrnoException).code}`,
      remedy: 'Name a file in a folder that is there and that you may write to, with --output FILE',
      cause,
    })
  }
}

function wouldOverwrite(output: string): Fault {
  return new Fault({
    code: 'init-would-overwrite',
    blame: 'operator',
    message: `${output} is there already; answers in it would be lost`,
    remedy: 'Edit it, or write another file with --output FILE, or replace it with --force',
  })
}

function problemsIn(file: string, questions: Question[], env: NodeJS.ProcessEnv): Problem[] {
  try {
    loadCluster(file, env)
    return []
  } catch (thrown) {
    if (!(thrown instanceof ClusterFileFault)) throw thrown
    return thrown.problems.filter(p => !questions.some(q => q.path === p.path))
  }
}

/** A path as a person would type it here. */
function shortest(file: string): string {
  const here = relative(process.cwd(), file)
  return here === '' || here.startsWith('..') ? file : here
}

/** What was found and what is to be done now, for a person. */
export function showInit(result: InitResult): string {
  const { hosts, claims, applications, remote, missing, questions, problems } = result
  const file = shortest(result.file)
  const total = showSize(claims.reduce((sum, c) => sum + c.sizeBytes, 0))
  const lines: string[] = []
  const part = (title: string, items: string[]) => {
    lines.push(title, ...items.map(item => `  ${item}`))
  }
  part(
    `Hosts: ${hosts.length}`,
    hosts.map(h => `${h.name} (${h.role}) ${h.address ?? 'address not known'}`),
  )
  part(
    claims.length === 0 ? 'Claims: none' : `Claims: ${claims.length}, ${total} together`,
    claims.map(c => `${c.id} ${showSize(c.sizeBytes)} ${c.owners.join(', ') || 'mounted by nothing in Git'}`),
  )
  if (applications.from === 'folder')
    part(`Applications: ${applications.names.length}, in ${applications.folder}`, [
      applications.names.join(', '),
    ])
  else if (applications.from === 'generated')
    part(`Applications: none in Git; one for each of ${applications.folders.length || 'the'} folders`, [
      applications.generate.join(', '),
    ])
  else part('Applications: none found', [])
  if (remote.length > 0)
    part(
      `Not in the repository, needed from the network: ${remote.length}`,
      remote.map(r => `${r.what} (${r.kind} of ${r.folder})`),
    )
  if (missing.length > 0)
    part(
      `Named by a kustomization and not there, secrets most often: ${missing.length}`,
      missing.map(m => `${m.file} (${m.at})`),
    )
  lines.push('')
  if (questions.length > 0) {
    lines.push(`Wrote ${file}. Only you can answer ${count(questions.length, 'question')} in it:`)
    for (const q of questions) lines.push(`  ${q.at} ${q.path}`, `      ${q.question}`)
  } else lines.push(`Wrote ${file}. No question is open.`)
  if (problems.length > 0)
    part(
      'To be mended:',
      problems.map(p => `${p.at} ${p.path}: ${p.message}`),
    )
  lines.push(
    '',
    `Next: ${questions.length > 0 ? 'answer them there, then ' : problems.length > 0 ? 'mend it, then ' : ''}recover rehearse ${file}`,
  )
  return `${lines.map(oneLine).join('\n')}\n`
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}
