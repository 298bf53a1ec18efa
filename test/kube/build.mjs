// Makes the real parts that the tests of test/kube run, from their Go modules: `node test/kube/build.mjs [PART ...]`. Each
// lies whole or not at all in ~/.cache/recover-ci/PART-VERSION (versions.json). Go does it all; kine wants a C compiler.
// Only Node's own modules: it runs beside the installation of packages. On two idle cores all of it takes 25 minutes.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const versions = JSON.parse(readFileSync(join(import.meta.dirname, 'versions.json'), 'utf8'))
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'recover-ci')

/** What each part consists of, and how that comes into a folder. Later parts find what earlier ones compiled. */
const parts = {
  kubernetes: {
    programs: ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'],
    make(work, out, version) {
      const minor = version.slice('v1.'.length)
      // Its own go.mod takes 33 modules from folders beside it; the proxy has them as versions of their own.
      wrap(work, 'k8s.io/kubernetes', version, `v0.${minor}`)
      const stamps = {
        gitVersion: version,
        gitMajor: '1',
        gitMinor: minor.split('.')[0],
        gitTreeState: 'clean',
        gitCommit: 'test',
        buildDate: '2026-01-01T00:00:00Z',
      }
      const stamped = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap(place =>
        Object.entries(stamps).map(([name, value]) => `${place}.${name}=${value}`),
      )
      build(
        work,
        out,
        this.programs.map(name => `k8s.io/kubernetes/cmd/${name}`),
        { stamped },
      )
    },
  },
  kine: {
    programs: ['kine'],
    make(work, out, version) {
      wrap(work, 'github.com/k3s-io/kine', version)
      build(work, join(out, 'kine'), ['github.com/k3s-io/kine'], { cgo: true })
    },
  },
  kwok: {
    programs: ['kwok'],
    files: ['stages.yaml'],
    make(work, out, version) {
      wrap(work, 'sigs.k8s.io/kwok', version)
      build(work, join(out, 'kwok'), ['sigs.k8s.io/kwok/cmd/kwok'])
      const stages = [
        ...['node/fast/node-initialize', 'node/heartbeat-with-lease/node-heartbeat-with-lease'],
        ...['pod/fast/pod-ready', 'pod/fast/pod-complete', 'pod/fast/pod-delete'],
      ]
      const from = join(sourceOf(work, 'sigs.k8s.io/kwok'), 'kustomize/stage')
      // Without stages it ends at once: what a node and a pod go through is not in the program.
      writeFileSync(
        join(out, 'stages.yaml'),
        stages.map(stage => `---\n${readFileSync(join(from, `${stage}.yaml`), 'utf8')}`).join(''),
      )
    },
  },
  kustomize: {
    programs: ['kustomize'],
    make(work, out, version) {
      const main = 'sigs.k8s.io/kustomize/kustomize/v5'
      wrap(work, main, version)
      build(work, join(out, 'kustomize'), [main], {
        stamped: [`sigs.k8s.io/kustomize/api/provenance.version=${version}`],
      })
    },
  },
  argocd: {
    programs: ['argocd', 'git-verify-wrapper.sh'],
    files: ['install.yaml'],
    make(work, out, version) {
      const module = 'github.com/argoproj/argo-cd/v3'
      // A nested module that its zip does not hold, at the commit nearest to the release that the proxy has.
      wrap(work, module, version, 'v0.0.0-20260914071520-c9c369efcc5b')
      build(work, join(out, 'argocd'), [`${module}/cmd`], {
        stamped: [`${module}/common.version=${version.slice(1)}`],
      })
      const source = sourceOf(work, module)
      copyFileSync(join(source, 'manifests/install.yaml'), join(out, 'install.yaml'))
      // The repo-server runs it for every manifest, signatures wanted or not.
      copyFileSync(join(source, 'hack/git-verify-wrapper.sh'), join(out, 'git-verify-wrapper.sh'))
    },
  },
  cilium: {
    programs: ['cilium-operator-generic'],
    files: ['chart/Chart.yaml'],
    make(work, out, version) {
      const module = 'github.com/cilium/cilium'
      wrap(work, module, version)
      // Two modules that the proxy does not have: Cilium takes one constant from the first, and of the second a release.
      mkdirSync(join(work, 'mcs'))
      writeFileSync(join(work, 'mcs/go.mod'), 'module sigs.k8s.io/mcs-api/controllers\n')
      writeFileSync(
        join(work, 'mcs/constant.go'),
        'package controllers\n\nconst DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"\n',
      )
      go(work, 'mod', 'edit', '-replace', 'sigs.k8s.io/mcs-api/controllers=./mcs')
      go(work, 'mod', 'edit', '-replace', 'github.com/osrg/gobgp/v4=github.com/osrg/gobgp/v4@v4.8.0')
      build(work, join(out, 'cilium-operator-generic'), [`${module}/operator`], {
        tags: 'osusergo,ipam_provider_operator',
        stamped: [`${module}/pkg/version.ciliumVersion=${version.slice(1)}`],
      })
      cpSync(join(sourceOf(work, module), 'install/kubernetes/cilium'), join(out, 'chart'), {
        recursive: true,
      })
    },
  },
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !(name in parts))
if (unknown.length > 0)
  throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
if (spawnSync('go', ['version']).status !== 0) {
  process.stderr.write('there is no Go here (https://go.dev/dl/, 1.26 or later): nothing is built\n')
  process.exit(1)
}
let failed = false
for (const [name, part] of Object.entries(parts))
  if (wanted.length === 0 || wanted.includes(name))
    try {
      makeWhole(name, part)
    } catch (error) {
      failed = true
      process.stderr.write(`${name}: ${error.message}\n`)
    }
process.exit(failed ? 1 : 0)

/** Makes one part in a folder of its own and renames that into place: a build that dies leaves nothing under its name. */
function makeWhole(name, part) {
  const version = versions[name]
  const place = join(cache, `${name}-${version}`)
  const whole = folder =>
    [...part.programs, ...(part.files ?? [])].every(file => existsSync(join(folder, file)))
  if (whole(place)) return
  mkdirSync(cache, { recursive: true })
  forgetUnfinished()
  const began = performance.now()
  const work = mkdtempSync(join(cache, `unfinished-${name}-`))
  const out = join(work, 'out')
  try {
    mkdirSync(out)
    part.make(work, out, version)
    for (const program of part.programs) chmodSync(join(out, program), 0o755)
    if (!whole(out))
      throw new Error(`the build ended well and did not make all of ${part.programs.join(', ')}`)
    rmSync(place, { recursive: true, force: true })
    renameSync(out, place)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  process.stderr.write(`${place}: ${Math.round((performance.now() - began) / 1000)} s\n`)
}

/**
 * A module that requires another one and takes its replacements over: `go install MODULE@VERSION` refuses a module that
 * has any. Folders in them become versions.
 * @param nested version of the modules that it has in folders
 */
function wrap(work, module, version, nested = version) {
  const found = go(work, 'mod', 'download', '-json', `${module}@${version}`)
  const lines = readFileSync(JSON.parse(found).GoMod, 'utf8').split('\n')
  const replacements = lines
    .map(line =>
      line
        .replace(/\/\/.*/, '')
        .replace(/^replace /, '')
        .trim(),
    )
    .filter(line => line.includes('=>') && !line.includes('FORBIDDEN'))
    .map(line =>
      /=> *\.\.?\//.test(line) ? `${line.split(' ')[0]} => ${line.split(' ')[0]} ${nested}` : line,
    )
  writeFileSync(
    join(work, 'go.mod'),
    [
      'module recover.test/wrapped',
      ...lines.filter(line => /^(go|godebug) [^(]/.test(line)),
      `require ${module} ${version}`,
      `replace (\n${replacements.join('\n')}\n)`,
      '',
    ].join('\n'),
  )
}

/** Without debug data: the compiler and the linker are quicker, and the programs half as large. */
function build(work, output, packages, { stamped = [], tags = '', cgo = false } = {}) {
  const flags = ['-s', '-w', ...stamped.flatMap(value => ['-X', value])].join(' ')
  const args = ['-mod=mod', '-trimpath', '-buildvcs=false', '-gcflags=all=-dwarf=false', '-tags', tags]
  go(
    { work, cgo },
    'build',
    ...args,
    '-ldflags',
    flags,
    '-o',
    output.endsWith('out') ? `${output}/` : output,
    ...packages,
  )
}

function sourceOf(work, module) {
  return go(work, 'list', '-mod=mod', '-m', '-f', '{{.Dir}}', module).trim()
}

function go(where, ...args) {
  const { work, cgo } = typeof where === 'string' ? { work: where, cgo: false } : where
  const env = {
    ...process.env,
    CGO_ENABLED: cgo ? '1' : '0',
    GOWORK: 'off',
    GOTOOLCHAIN: 'local',
    GOFLAGS: '',
  }
  const { status, stdout, error } = spawnSync('go', args, {
    cwd: work,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Error(`go ${args[0]} ended with ${status ?? error}`)
  return stdout
}

/** What a build that was killed left behind, more than a day ago. */
function forgetUnfinished() {
  for (const name of readdirSync(cache).filter(entry => entry.startsWith('unfinished-')))
    if (Date.now() - statSync(join(cache, name)).mtimeMs > 24 * 3600_000)
      rmSync(join(cache, name), { recursive: true, force: true })
}
