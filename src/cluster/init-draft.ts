import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { addressOf, nasOf, provisioningOf, remoteOf } from './init-findings.ts'
import type { FluxFound } from './init-flux.ts'
import { type Finding, newPage, type Page, yamlScalar } from './init-questions.ts'
import { type Sources, takenIn } from './init-sources.ts'
import type { Claim, Inventory } from './inventory.ts'
import type { K0sHost } from './k0sctl-file.ts'
import { rungs } from './schema.ts'
import { showSize } from './size.ts'

// What no file says and not everybody has is offered as comments, each of which is right as it stands without its #.
const hostExamples = [
  'mac: 52:54:00:12:34:56 # of the interface by which it boots from the network',
  'How it is switched on, off and told what to boot, one of:',
  `power: { redfish: https://192.0.2.111, fingerprint: "sha256:${'0'.repeat(64)}", credentials: bmc }`,
  'power: { ipmi: 192.0.2.111, credentials: bmc }',
  'power: { wakeOnLan: 52:54:00:12:34:56 }',
]
const examples = [
  'Only for kexec, pxe and virtual-media: the installer that they start, and this computer as the machines see it.',
  'installer:',
  '  kernel: { file: ./flatcar_production_pxe.vmlinuz, signature: ./flatcar_production_pxe.vmlinuz.sig }',
  '  initrd: { file: ./flatcar_production_pxe_image.cpio.gz, signature: ./flatcar_production_pxe_image.cpio.gz.sig }',
  'netboot: { address: 192.0.2.2 }',
  'ssh: { transport: openssh } # your own ssh, with its jump hosts, certificates and hardware keys',
]

/** The text of a cluster file, with its questions. */
export function draft(sources: Sources): string {
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
  page.find(2, 'remote', remoteOf(inventory, repository, fluxOf(sources)?.source.url))
  draftBootstrap(sources, page)
  draftApplications(sources, page)
  page.open(0, 'hosts')
  for (const [i, host] of k0sctl.hosts.entries()) draftHost(host, i === 0, sources, page)
  for (const line of examples) page.row(0, line)
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

function fluxOf({ applications }: Sources): FluxFound | undefined {
  return applications.from === 'flux' ? applications.flux : undefined
}

function draftBootstrap(sources: Sources, page: Page): void {
  const flux = fluxOf(sources)
  if (flux === undefined) page.find(2, 'bootstrap', bootstrapFinding(sources))
  else draftFlux(flux, sources, page)
}

/** Flux itself, with the Secrets that are not in Git, and the proof that it reads the repository. */
function draftFlux({ bootstrap, source, login, keys }: FluxFound, sources: Sources, page: Page): void {
  page.comment(
    2,
    'What Flux does not bring itself stands before it in this list: a network that k0s does not bring, most often.',
  )
  page.open(2, 'bootstrap')
  page.item(4, 'name: flux')
  page.put(6, 'kustomize', yamlScalar(sources.shown(join(sources.repository, bootstrap))))
  const given = [
    ...keys.map(secret => ({
      secret,
      data: '{ age.agekey: sops.age-key }',
      why: 'what opens the encrypted Secrets in Git; in the environment RECOVER_SECRET_SOPS_AGE_KEY',
    })),
    ...(login === undefined
      ? []
      : [
          {
            secret: login,
            data: /^ssh:/.test(source.url ?? '')
              ? '{ identity: git.identity, known_hosts: git.known-hosts }'
              : '{ username: git.username, password: git.token }',
            why: 'how Flux logs in to the repository; the fields of a secret `git` in your own sources',
          },
        ]),
  ]
  if (given.length > 0) page.open(6, 'secrets')
  for (const { secret, data, why } of given) {
    page.comment(8, why)
    page.item(8, `secret: ${yamlScalar(secret)}`)
    page.put(10, 'data', data)
  }
  const { apiVersion, kind, namespace, name } = source
  page.open(6, 'proof')
  page.item(
    8,
    `{ apiVersion: ${yamlScalar(apiVersion)}, kind: ${yamlScalar(kind)}, namespace: ${yamlScalar(namespace)}, name: ${yamlScalar(name)}, condition: Ready }`,
  )
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
  if (applications.from === 'flux') {
    const { folder, names } = applications.flux
    const shownFolder = yamlScalar(shown(join(repository, folder)))
    page.put(2, 'applications', `{ flux: ${shownFolder} }`, `${count(names.length, 'Kustomization')} of Flux`)
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
  const { ignition, filesDir } = provisioningOf(host, sources)
  page.find(4, 'ignition', ignition)
  if (filesDir) page.put(4, 'filesDir', yamlScalar(filesDir.value), filesDir.why)
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
  page.find(6, 'sha256', {
    question: first
      ? 'its SHA-256, once its signature is checked: sha256sum FILE prints it; or put `signature: FILE.sig` in the place of this line, and it is checked here'
      : 'its SHA-256, or `signature: FILE.sig` in the place of this line',
  })
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
      ? `you boot it from the stick when asked; before that may stand, in your order: ${rungs.filter(r => r !== 'by-hand').join(', ')}`
      : undefined,
  )
  if (first) for (const line of hostExamples) page.row(4, line)
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
  page.comment(0, 'adopt: the old LUN itself; copy: its files to a new one; new: an empty one.')
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

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}
