"""Texts that look private and are not, which must not change: `kind: text`."""

from typing import Final

LOOK_ALIKES: Final = r"""
git sha: commit {hex40}
git sha short: * {hex7} Merge branch 'feature/{word}-token'
git log: {hex7} fix password reset for {word}
git index: index {hex7}..{hex7} 100644
git tree: tree {hex40}\nparent {hex40}
git diff header: diff --git a/src/{word}/token.ts b/src/{word}/token.ts
git hunk: @@ -{d2},{d1} +{d2},{d2} @@ def get_token(self):
git remote: origin git@github.com:{word}/{word}.git (fetch)
uuid: id={uuid}
uuid session: session_id: {uuid}
uuid request: req_{an24}
trace id: trace_id={hex32} span_id={hex16}
traceparent: traceparent: 00-{hex32}-{hex16}-01
sha256 file: {hex64}  dist/{word}.tar.gz
md5: md5sum {hex32}  {word}.iso
sha512 integrity: "integrity": "sha512-{b86}=="
sha1 resolved: "resolved": "https://registry.npmjs.org/{word}/-/{word}-1.{d1}.{d2}.tgz#{hex40}"
pip hash: {word}==2.{d2}.1 --hash=sha256:{hex64}
go sum: github.com/{word}/{word} v1.{d2}.0 h1:{b43}=
go sum mod: golang.org/x/{word} v0.{d2}.0/go.mod h1:{b43}=
cargo lock: checksum = "{hex64}"
poetry lock: {file = "{word}-1.{d1}.0.tar.gz", hash = "sha256:{hex64}"}
docker digest: {word}@sha256:{hex64}
docker image id: {hex12}   {word}:latest
docker pull: {word}/{word}:1.{d2}-alpine
oci: ghcr.io/{word}/{word}:sha-{hex7}
container id: container {hex64} started
k8s pod: {word}-{word}-{hex10}-{low5}   1/1   Running
k8s secret ref: secretKeyRef:\n  name: {word}-secret\n  key: password
k8s secret name: secretName: {word}-tls
k8s env from: - name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: {word}
k8s get secrets: {word}-token-{low5}   kubernetes.io/service-account-token   3   {d2}d
k8s service account: serviceAccountName: {word}-token-reader
k8s volume: - name: {word}-secret\n  mountPath: /etc/{word}
image base64: data:image/png;base64,iVBORw0KGgo{b200}
svg path: <path d="M{d2}.{d2} {d2}c0-1.{d1} 2.{d2}-{d1} {d2}"/>
css: .{word}-password { color: #{hex6}; margin: 0 {d2}px }
css token: --token-color-{word}: #{hex6};
css vars: --{word}-key: var(--{word}-token);
css hash: .{Word}_button__{an5}
js minified: function {low1}(e,t){return e.key===t.key&&e.token!==n.token}var {low2}=(pass,secret)=>t
js import: import { getToken } from "./{word}/token";
js usestate: const [password, setPassword] = useState('');
js destructure: const { token, secret } = req.body;
js fetch: const token = await getToken({word});
js optional: const apiKey = config?.apiKey ?? defaults.apiKey;
js this: this.accessToken = response.data.access_token;
js env: const secret = process.env.{WORD}_SECRET;
js env bang: apiKey: process.env.API_KEY!,
js import meta: const key = import.meta.env.VITE_API_KEY;
js property: password: user.password,
js shorthand: login({ username, password })
js type: interface Login { username: string; password: string }
js type optional: token?: string | null;
js zod: password: z.string().min({d1}),
js prop types: apiKey: PropTypes.string.isRequired,
js template: Authorization: `Bearer ${token}`
js template double: "Authorization": "Bearer " + token
js query: const { password } = await prompt("Password: ");
js map key: items.map((item) => <li key={item.id}>)
js react key: key="{word}-{word}-{d2}"
js switch: case "token": return parseToken(input);
js event key: if (event.key === "Enter") {
js localstorage: localStorage.getItem("{word}_token")
js sourcemap: //# sourceMappingURL={word}.{hex8}.js.map
js chunk: static/js/main.{hex8}.chunk.js
python def: def set_password(self, password: str) -> None:
python assign: self.token = token
python call: token = get_token(user)
python environ: secret = os.environ["{WORD}_SECRET"]
python getenv: API_KEY = os.getenv("{WORD}_API_KEY")
python settings: password=settings.db_password,
python none: password: str | None = None
python optional: api_key: Optional[str] = None
python field: token: str = Field(default="", description="the access token")
python secretstr: password: SecretStr
python empty: password = ""
python getpass: password = getpass.getpass("Password: ")
python argparse: parser.add_argument("--password", help="the password of the database")
python test name: tests/test_{word}.py::test_password_is_hashed PASSED
python token loop: for token in tokens:
python tokenizer: tokens = tokenizer.encode(text)
python hash: hashlib.sha256(password.encode()).hexdigest()
python kwarg: client = Client(api_key=api_key, token=token)
python decorator: @pytest.fixture
python decorator route: +@app.route('/{word}/x')
python format: f"Bearer {token}"
python dict get: password = data.get("password")
python subscript: token = request.headers["Authorization"]
go func: func NewToken(secret []byte) (string, error) {
go field: Password string `json:"password"`
go env: apiKey := os.Getenv("{WORD}_API_KEY")
go struct: Token: cfg.Token,
rust field: pub api_key: String,
rust let: let token = Token::new(Kind::Identifier);
rust attr: #[derive(Debug)]
java field: private String password;
java getter: public String getPassword() { return password; }
java annotation: @Value("${db.password}")
java lexer: Token token = lexer.nextToken();
csharp prop: public string Password { get; set; }
csharp attr: [Required] public string ApiKey { get; init; }
php: $password = $_POST['password'];
ruby: password: ENV.fetch("{WORD}_PASSWORD")
ruby attr: has_secure_password
sql column: password VARCHAR(255) NOT NULL,
sql select: SELECT id, password FROM users WHERE token = $1
sql param: UPDATE users SET password = ? WHERE id = ?
sql index: CREATE UNIQUE INDEX idx_{word}_token ON {word} (token);
sql key: PRIMARY KEY (id), FOREIGN KEY ({word}_id) REFERENCES {word}(id)
sql duplicate: ERROR: duplicate key value violates unique constraint "{word}_pkey"
terraform var: password = var.db_password
terraform local: token = local.{word}_token
terraform data: secret = data.aws_secretsmanager_secret_version.{word}.secret_string
terraform resource: resource "random_password" "{word}" {
terraform sensitive: variable "db_password" {\n  type = string\n  sensitive = true\n}
helm value: password: {{ .Values.{word}.password }}
github secret: token: ${{ secrets.{WORD}_TOKEN }}
github permission: permissions:\n  id-token: write\n  contents: read
github cache: key: ${{ runner.os }}-{word}-${{ hashFiles('**/package-lock.json') }}
github cache hit: Cache restored from key: Linux-{word}-{hex64}
compose: POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}
compose required: DB_PASSWORD=${DB_PASSWORD:?required}
shell variable: export TOKEN=$GITHUB_TOKEN
shell command: TOKEN=$(gcloud auth print-access-token)
shell read: read -s -p "Password: " PASSWORD
shell test: if [ -z "$API_KEY" ]; then
shell unset: unset DB_PASSWORD
shell mkdir: mkdir -p src/{word}/{word}
shell port: docker run -p 80{d2}:80 {word}
shell cp: cp -p {word} {word}.bak
shell curl file: curl -b cookies.txt -c cookies.txt https://{word}.test/
shell curl netrc: curl -u "$USER:$PASS" https://{word}.test/
shell curl output: curl -sSL https://{word}.test/install.sh -o {word}.sh
shell ssh: ssh -p 22{d2} {word}
shell grep: grep -rn "password" src/{word}
shell grep flag: rg -n --no-heading 'token' src/
shell sed: sed -i 's/password/token/g' {word}.py
shell openssl: openssl rand -hex 32
shell openssl sha: openssl dgst -sha256 {word}.bin
shell zip: zip -r {word}.zip dist
shell mysql: mysql -u root -p
shell psql: psql -h db -U app -d {word}
shell redis: redis-cli -h cache ping
shell docker login: docker login -u bob --password-stdin
shell gh: gh auth token
shell gh list: gh secret list
shell kubectl: kubectl get secret {word} -o yaml
shell npm: npm run test -- --token
shell flag next: app --password --verbose
shell flag file: app --token-file /run/secrets/{word}
shell flag variable: app --api-key "$API_KEY" run
shell set: set -euxo pipefail
shell env ps: $env:PATH += ";C:\Program Files\{word}"
shell powershell: $password = Read-Host -AsSecureString
shell ln: ln -s /usr/local/bin/{word} bin/
placeholder your: API_KEY=your-api-key
placeholder your underscore: OPENAI_API_KEY=your_openai_api_key_here
placeholder angle: password: <password>
placeholder angle words: --token <YOUR_TOKEN>
placeholder x: api_key: xxxxxxxxxxxxxxxx
placeholder stars: password: ********
placeholder dots: token: ...
placeholder sk: export ANTHROPIC_API_KEY=sk-ant-...
placeholder sk x: OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxx
placeholder braces: password={password}
placeholder mustache: {{ password }}
placeholder percent: password=%(password)s
placeholder windows: set PASSWORD=%DB_PASSWORD%
placeholder ps: $env:API_KEY = $env:OTHER_KEY
placeholder example: SECRET_KEY=example
placeholder changeme: POSTGRES_PASSWORD=changeme
placeholder insert: "apiKey": "INSERT_YOUR_KEY_HERE"
placeholder redacted: password=[REDACTED:password]
placeholder redacted text: password: REDACTED
placeholder hidden: token: <hidden>
placeholder todo: secret = "TODO"
prose password: The password must be at least {d1} characters long.
prose token: Each token is about four characters; {d3} tokens in total.
prose reset: Click "Forgot password?" to reset your password.
prose key: The key to good {word} is patience.
prose secret: the secret to {word} is simple
prose invalid: Error: invalid token
prose expired: The access token expired at 10:{d2}.
prose unexpected: SyntaxError: Unexpected token '<', "<!DOCTYPE "... is not valid JSON
prose wrong: psql: error: FATAL: password authentication failed for user "{word}"
prose permission: Permission denied (publickey,password).
prose auth: Authentication failed: bad credentials
prose sign: This commit has no valid signature.
prose phrase: pass the {word} to the {word}
prose pass: {d2} passed, {d1} failed in {d1}.{d2}s
prose pass rate: pass: {d2} fail: {d1}
i18n: "password": "Enter your password",
i18n label: "forgotPassword": "Forgot your password?"
i18n error: "password_required": "Password is required"
i18n german: "password": "Passwort eingeben, bitte"
json schema: "password": {"type": "string", "format": "password"}
json schema token: {"properties": {"token": {"type": "string", "description": "the token"}}}
json null: {"password": null, "token": ""}
json usage: {"usage":{"input_tokens":{d4},"output_tokens":{d3},"cache_read_input_tokens":{d5}}}
json max tokens: {"model":"claude-sonnet-4-5","max_tokens":{d4}}
json stop: {"stop_reason":"end_turn","stop_token":"<eos>"}
json token type: {"token_type":"Bearer","expires_in":3600}
json token count: "token_count": {d5}
json key: {"key": "{word}.{word}", "count": {d3}}
json key id: {"key_id": "{word}-{d4}", "kid": "{uuid}"}
json public key: "public_key": "{word}"
json s3 key: {"Key": "builds/{word}/{word}-{hex8}.zip", "Size": {d5}}
json cache key: "cache_key": "{word}:{hex16}:v{d1}"
json keyword: "keyword": "{word} {word}"
json author: "author": "{word} {word}"
json auth type: {"auth": "none", "authType": "oauth2", "auth_mode": "api_key"}
json signature alg: "signature_algorithm": "SHA256withRSA"
json passed: {"passed": {d3}, "pass": true}
json names: ["username", "password", "email"]
json required: "required": ["username", "password"]
json tool: {"name": "get_token", "description": "Returns the token"}
json otlp: {"key":"gen_ai.usage.input_tokens","value":{"intValue":"{d4}"}}
json otlp model: {"key":"model","value":{"stringValue":"claude-opus-4-5-20251101"}}
json tool use: {"type":"tool_use","id":"toolu_01{an22}","name":"Bash"}
json message id: {"id":"msg_01{an22}","role":"assistant"}
json chatcmpl: {"id":"chatcmpl-{an29}","object":"chat.completion"}
json cursor: "next_cursor": "{base24}"
json page token: "nextPageToken": "{base24}"
json etag: "etag": "W/\"{hex32}\""
json version: {"version":"{d1}.{d2}.{d1}","node":"v20.{d2}.0"}
json lock: "node_modules/{word}": {"version": "1.{d1}.{d2}", "license": "MIT"}
json license: "license": "Apache-2.0",
json ids: {"userId": "{hex24}", "orgId": "org-{an24}"}
http etag: ETag: "{hex32}"
http request id: x-request-id: {uuid}
http cf: cf-ray: {hex16}-FRA
http auth challenge: WWW-Authenticate: Bearer realm="{word}"
http none: Cookie: none was sent
http status: HTTP/1.1 401 Unauthorized
http allow: access-control-allow-headers: authorization, x-api-key, content-type
url asset: https://cdn.{word}.test/assets/index-{an8}.js?v={hex8}
url commit: https://github.com/{word}/{word}/commit/{hex40}
url blob: https://github.com/{word}/{word}/blob/main/src/token.py#L{d2}-L{d3}
url query: https://{word}.test/search?q=password+reset&page={d1}
url docs: https://docs.{word}.test/api/authentication#api-keys
url youtube: https://www.youtube.com/watch?v={w11}
url utm: https://{word}.test/?utm_source={word}&utm_campaign={word}
url code number: https://{word}.test/error?code=404
url state: https://{word}.test/list?sort_key=name&key=name
url port: http://localhost:80{d2}/health
url scoped: https://registry.npmjs.org/@{word}/{word}
url placeholder: postgres://user:password@localhost/{word}
url variable: https://${USER}:${TOKEN}@{word}.test/x.git
path secret: src/{word}/secrets/token_store.rs
path password: app/views/password_resets/new.html.erb
path key: ~/.ssh/id_ed25519.pub
path etc: /etc/{word}/secret.key
path tmp: /tmp/{word}-{an8}/{word}.log
path node: node_modules/.pnpm/{word}@1.{d1}.{d2}/node_modules/{word}/index.js
path home runner: /home/runner/work/{word}/{word}
path home root: /Users/Shared/{word}
path relative: ./home/{word}/index.md
path nix: /nix/store/{az32}-{word}-1.{d1}.{d2}/bin/{word}
path bazel: bazel-out/k8-fastbuild/bin/{word}/{hex16}
model name: claude-3-5-sonnet-20241022
model id: anthropic.claude-sonnet-4-20250514-v1:0
model file: meta-llama/Llama-3.{d1}-{d2}B-Instruct
version: {word} {d1}.{d2}.{d1}.{d3}
version prefixed: v{d1}.{d2}.{d1}-rc.{d1}+{hex7}
version range: "{word}": "^{d1}.{d2}.{d1}"
version chrome: Mozilla/5.0 Chrome/12{d1}.0.{d4}.{d2} Safari/537.36
version pip: {word}>={d1}.{d2},<{d1}.{d2}
time iso: 2026-11-22T02:17:35.{d6}Z
time plus: +2026-11-22 02:17:35
time epoch: 17{d8}
time epoch ms: ts=17{d11}
time nano: "timeUnixNano": "17{d17}"
time log: [2026-11-22 10:{d2}:35,{d3}] INFO {word}
time duration: took {d3}.{d3}ms ({d5} ops)
time date: 22/11/2026 12:{d2}
number plain: processed {d9} rows in {d4} ms
number float: loss=0.{d16} acc=0.{d4}
number table: 415 555 {d4}  212 333 {d4}
number phone like: build 2024.11.{d2}.{d4}
number isbn: ISBN 978-3-16-148410-0
number order: order {d3}-{d3}-{d3}
number size: {d10} bytes
number hex: 0x{hex16}
number pid: [{d5}] {word}: started
number coordinates: {d2}.{d6}, -{d2}.{d6}
number range: lines {d3}-{d3}
number card bad: 4111 1111 1111 1112 is not valid
number ean: EAN 4006381333931
ip loopback: listening on 127.0.0.1:{d4}
ip any: bind 0.0.0.0:{d4}
ip mask: netmask 255.255.255.0
ip v6 loopback: http://[::1]:{d4}/
fingerprint: SHA256:{b43} {word} (ED25519)
fingerprint md5: MD5:{hexpairs}
public ssh key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b43} {word}
public ssh rsa: ssh-rsa AAAAB3NzaC1yc2E{b200} {word}
certificate: -----BEGIN CERTIFICATE-----\nMII{b60}\n-----END CERTIFICATE-----
public key: -----BEGIN PUBLIC KEY-----\nMII{b60}\n-----END PUBLIC KEY-----
arn: arn:aws:iam::{d12}:role/{word}-deploy
arn secret: arn:aws:secretsmanager:us-east-1:{d12}:secret:{word}-{an6}
kms: arn:aws:kms:eu-west-1:{d12}:key/{uuid}
gcp project: projects/{word}-{d6}/secrets/{word}/versions/latest
azure id: /subscriptions/{uuid}/resourceGroups/{word}
stripe publishable: STRIPE_PUBLISHABLE=pk_test_{an24}
stripe ids: cus_{an14} pi_{an24} sub_{an14}
twilio sid: account AC{hex32}
slack ids: channel C0{AZ9} user U0{AZ9}
aws ids: i-{hex17} vpc-{hex17} sg-{hex8}
css class: class="px-{d1} py-{d1} text-gray-{d1}00 key-{word}"
html label: <label for="password">Password</label>
html input: <input type="password" name="password" placeholder="Password">
html csrf meta: <meta name="viewport" content="width=device-width">
html autocomplete: autocomplete="new-password"
xml schema: <xs:element name="password" type="xs:string"/>
xml empty: <password></password>
yaml swagger: password:\n  type: string\n  minLength: 8
yaml rule: - name: no-hardcoded-password\n  severity: error
yaml required: required:\n  - password\n  - token
yaml openapi: securitySchemes:\n  apiKey:\n    type: apiKey\n    name: X-API-Key\n    in: header
yaml action: - uses: actions/checkout@{hex40}
yaml key: key: {word}
yaml token null: token: null
yaml anchors: secret: *{word}
ini comment: # password = ask the admin
ini bool: password_authentication = no
ini ssh: PasswordAuthentication yes
env flags: ENABLE_TOKEN_AUTH=true
env path: SSH_KEY_PATH=/etc/{word}/id_rsa
env file: DB_PASSWORD_FILE=/run/secrets/db_password
env name: SECRET_NAME={word}-db
env pwd: PWD=/srv/{word}/app
env limit: MAX_TOKENS={d4}
env thinking: MAX_THINKING_TOKENS={d5}
env ttl: ACCESS_TOKEN_EXPIRE_MINUTES={d2}
env url: TOKEN_URL=https://{word}.test/oauth/token
env empty: DB_PASSWORD=
env node: NODE_AUTH_TOKEN: ${{ secrets.NPM_TOKEN }}
env key type: KEY_ALGORITHM=RS256
env telemetry: OTEL_RESOURCE_ATTRIBUTES=team={word},cost_center={d4}
telemetry metric: claude_code.token.usage{type="input",model="claude-sonnet-4-5"} {d5}
telemetry event: event.name=api_request input_tokens={d4} output_tokens={d3} cost_usd=0.0{d3}
telemetry session: session.id={uuid} user.account_uuid={uuid}
log heap: at Object.<anonymous> (/app/src/{word}.js:{d3}:{d2})
log python: File "/app/{word}/auth.py", line {d2}, in get_token
log traceback: KeyError: 'password'
log type error: TypeError: Cannot read properties of undefined (reading 'token')
log ts: error TS2339: Property 'token' does not exist on type '{Word}'.
log lint: {word}.py:{d2}:{d1}: S105 Possible hardcoded password assigned to: "token"
log npm: npm WARN deprecated {word}@{d1}.{d1}.{d1}: use {word} instead
log webpack: asset main.{hex20}.js {d3} KiB [emitted] [immutable] [minimized]
log pytest: {word}/test_auth.py::test_login[password-{d1}] PASSED [ {d2}%]
log systemd: {word}@1.service: Main process exited, code=exited
log k8s event: Error: secret "{word}-credentials" not found
log failed login: Failed password for invalid user {word} from port {d5}
log ci: Run actions/cache@v4 with: key: {word}-{d1}
log git push: remote: Resolving deltas: 100% ({d3}/{d3}), done.
log ls: -rw-r--r-- 1 root root {d5} Nov 22 10:{d2} token.json
log chunks: dist/assets/{word}-{an8}.css  {d2}.{d2} kB
markdown row type: | password | string | The password of the user |
markdown row yes: | token | yes | Access token |
markdown header: | Name | Token | Key |
markdown code: Use `password` or `--token` to log in.
markdown link: [API keys](https://{word}.test/keys)
regex: /^(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{{d1},}$/
jq: jq -r '.access_token' {word}.json
graphql: type Query { token(key: String!): Token }
proto: string password = {d1};
proto message: message Token { string value = 1; }
locale: en-US,en;q=0.9
email robot: noreply@github.com
email example git: git@gitlab.com:{word}/{word}.git
email npm scope: @{word}/{word}@{d1}.{d2}.{d1}
email image: {word}@2x.png
email decorators: @Injectable() export class {Word}Service
email java: @Override public String toString()
handle: thanks @{word} for the review
latex: \section{{Word}} \label{sec:{word}}
diff stat: src/{word}/password.ts | {d2} ++++-----
base64 word: echo aGVsbG8gd29ybGQ= | base64 -d
hex dump: 00000010  {hex2} {hex2} {hex2} {hex2}  {hex2} {hex2} {hex2} {hex2}
wasm: {word}_bg.{hex16}.wasm
font: {word}-latin-400-normal.{hex8}.woff2
color: rgba({d2}, {d2}, {d2}, 0.{d1})
currency: $ {d3}.{d2} per 1M tokens
test id: data-testid="password-{word}"
snapshot: exports[`{Word} renders password 1`]
xpath: //input[@name='password']
cron: */{d1} * * * * /usr/bin/{word}
makefile: .PHONY: {word} token
dockerfile: ARG {WORD}_TOKEN
dockerfile env: ENV PATH /usr/local/bin:$PATH
secret mount: RUN --mount=type=secret,id={word}_token
"""
