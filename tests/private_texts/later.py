"""Kinds that were written after the rules, and of which the first figures are in docs/privacy.md: `kind: text`.

The rules were then changed for them, so a figure of today says less than the first.
"""

from typing import Final

LATER: Final = r"""
later env kafka: KAFKA_SASL_PASSWORD=«{pw}»
later env argo: ARGOCD_AUTH_TOKEN=«{an40}»
later json nested camel: {"db":{"credentials":{"userPassword":"«{pw}»"}}}
later yaml helm: postgresql:\n  auth:\n    postgresPassword: «{pw}»\n    database: app
later yaml ref default: adminToken: "«{uuid}»"
later ini pip: [global]\nindex-url = https://bob:«{an20}»@pypi.corp.test/simple
later composer: {"http-basic":{"repo.test":{"username":"bob","password":"«{pw}»"}}}
later py param: def connect(host="db", password="«{pw}»"):
later ts env: process.env.STRIPE_SECRET = "«{an32}»";
later jest: expect(body.password).toBe("«{pw}»")
later java builder: .apiKey("«{an32}»")
later kotlin env: System.setProperty("db.password", "«{pw}»")
later scala: val jwtSecret = "«{an40}»"
later lua: local api_token = "«{an32}»"
later perl: my $password = '«{pw}»';
later r lang: Sys.setenv(API_KEY = "«{an32}»")
later julia: ENV["API_SECRET"] = "«{an32}»"
later dart: const String apiKey = '«{an32}»';
later objc: NSString *apiKey = @"«{an32}»";
later groovy: password = '«{pw}»'
later nix: password = "«{pw}»";
later cmd start: docker run -d --env MYSQL_ROOT_PASSWORD="«{pw}»" mysql
later cmd ecs: aws rds modify-db-instance --db-instance-identifier x --master-user-password «{pw}»
later cmd gcloud: gcloud sql users set-password root --instance=x --password=«{pw}»
later cmd az sql: az sql server create -n x -u bob -p «{pw}»
later cmd createuser: createuser --pwprompt; psql -c "ALTER ROLE bob PASSWORD '«{pw}»'"
later cmd mc: mc alias set s3 https://s3.test AKIDX «{b40}»
later cmd rabbit: rabbitmqadmin -u bob -p «{pw}» list queues
later cmd kinit: echo «{pw}» | kinit bob@REALM.TEST
later cmd sftp env: SSHPASS='«{pw}»' sshpass -e sftp bob@host.test
later cmd hub: hub api -H "Authorization: token «{hex40}»" /user
later cmd httpie header: http GET api.test X-Api-Token:«{an32}»
later cmd git cred: git clone https://oauth2:«{an26}»@gitlab.corp.test/o/r.git
later cmd git extraheader: git -c http.extraheader="AUTHORIZATION: basic «{base36}»" fetch
later cmd grafana: grafana-cli admin reset-admin-password «{pw}»
later cmd etcd: etcdctl --user root:«{pw}» get /
later cmd consul: consul kv get -token=«{uuid}» x
later cmd nomad: NOMAD_TOKEN=«{uuid}» nomad status
later url smtp: smtps://bob:«{pw}»@smtp.test:465
later url sas token: SharedAccessSignature sr=x&sig=«{an43}%3D&se=1»
later conn amqp: Endpoint=sb://x.test/;SharedAccessKeyName=k;SharedAccessKey=«{an43}=»
later conn storage: DefaultEndpointsProtocol=https;AccountName=x;AccountKey=«{an86}==»;EndpointSuffix=core
later conn odbc: Driver={SQL};Server=db;Uid=sa;Pwd=«{pw}»;
later log spring: Using generated security password: «{uuid}»
later log jenkins: Please use the following password to proceed to installation:\n\n«{hex32}»\n
later log mysql temp: A temporary password is generated for root@localhost: «{pw}»
later log argocd: admin password: «{an16}»
later tf output: db_password = "«{pw}»" -> (known after apply)
later prose new pw: your new password is: «{pw}»
later prose pin: password for bob: «{pw}»
later header goog: x-goog-api-key: «{an39}»
later header anth: 'anthropic-auth-token': '«{an40}»'
later header gitlab: JOB-TOKEN: «{an20}»
later header circle: Circle-Token: «{hex40}»
later md table: | Secret | `«{an32}»` |
later toml cargo: [registry]\ntoken = "«{an32}»"
later docker cfg: "identitytoken": "«{an60}»"
later sealed: client_secret=«{w40}»&grant_type=client_credentials
later vue: VUE_APP_SECRET='«{an32}»'
later gpg: echo "«{pw}»" | gpg --batch --passphrase-fd 0 -d f
last 1: WP_ADMIN_PASS=«{pw}»
last 2: "dbPass": "«{pw}»"
last 3: cfg.Password = "«{pw}»"
last 4: options.SecretKey := '«{an40}»'
last 5: Set-Variable -Name ApiToken -Value "«{an32}»"
last 6: [Environment]::SetEnvironmentVariable("API_KEY", "«{an32}»", "User")
last 7: docker secret create db_password - <<< "«{pw}»"
last 8: vercel env add API_TOKEN production <<< «{an32}»
last 9: airflow connections add x --conn-password «{pw}»
last 10: dbt: {target: dev, outputs: {dev: {type: postgres, user: bob, password: «{pw}», port: 5432 }
last 11: sshpass -f /tmp/x; expect -c 'send "«{pw}»"'
last 12: INSERT INTO users (name, password) VALUES ('bob', '«{pw}»')
last 13: SECRET_TOKEN = ENV.fetch('SECRET_TOKEN', '«{an40}»')
last 14: curl https://api.test/v1 -H "apikey: «{an40}»"
last 15: curl -F "token=«{an32}»" https://api.test/up
last 16: wscat -c wss://x.test/ws?access_token=«{an40}»
last 17: kubectl config set-credentials bob --token=«{an40}»
last 18: helm install x --set-string secrets.apiToken=«{an32}»
last 19: ansible_ssh_pass="«{pw}»" ansible_user=bob
last 20: <connectionString>Server=db;Password=«{pw}»;</connectionString>
last 21: proxy = http://bob:«{an14}»@proxy.test:3128
last 22: git remote add x https://x-access-token:«{an40}»@git.corp.test/o/r
last 23: export HTTPS_PROXY="http://bob:«{an14}»@proxy.test:3128"
last 24: {"type":"http","headers":{"X-API-KEY":"«{an32}»"}}
last 25: Token «{hex40}» expired
last 26: api_token="«{an32}»" # rotate
last 27: mysql://root:«{pw}»@127.0.0.1/app
last 28: secrets:\n  stripe: «{an32}»
last 29: oauth_consumer_secret: «{an40}»
last 30: set password for bob = '«{pw}»'
last 31: login with bob:«{pw}»
last 32: aws_session_token=«{b120}»
"""

LATER_LOOK_ALIKES: Final = r"""
later 1: const tokenRegex = /token=[a-z]+/;
later 2: if (!password) throw new Error("password missing");
later 3: export type TokenPayload = { sub: string; exp: number };
later 4: secretsManager.getSecretValue({ SecretId: "{word}/db" })
later 5: password_hash = bcrypt.hash(password, 12)
later 6: passwordConfirmation: yup.string().oneOf([ref('password')])
later 7: assert response.status_code == 401, "token should be rejected"
later 8: pass_filenames: false
later 9: api_key_header = APIKeyHeader(name="X-API-Key")
later 10: describe("password reset", () => {
later 11: it('returns a token for valid credentials', async () => {
later 12: vault kv get secret/{word}
later 13: kubectl create secret tls {word}-tls --cert=tls.crt --key=tls.key
later 14: gh secret set {WORD}_TOKEN < token.txt
later 15: echo $DB_PASSWORD | docker login -u bob --password-stdin
later 16: sha256:{hex64}
later 17: Primary key: ({word}_id, created_at)
later 18: "keywords": ["{word}", "token", "auth"]
later 19: Authorization: Bearer <token>
later 20: tokens: 1,{d3},{d3} (in) / {d4} (out)
later 21: fatal: could not read Password for 'https://{word}@github.com': terminal prompts disabled
later 22: remote: Support for password authentication was removed on August 13, 2021.
later 23: error: AccessDenied: User is not authorized to perform secretsmanager:GetSecretValue
later 24: client = OpenAI(api_key=os.environ.get("OPENAI_API_KEY"))
later 25: private_key_path = "~/.ssh/id_rsa"
later 26: {"type":"password","name":"password","message":"Enter password"}
later 27: security: [{ bearerAuth: [] }]
later 28: model.config.pad_token_id = model.config.eos_token_id
later 29: self.assertEqual(token.type, TokenType.IDENTIFIER)
later 30: auth: { type: "oauth2", flow: "implicit" }
later 31: key={{ .Release.Name }}-{word}
later 32: cookie: { secure: true, httpOnly: true }
later 33: salt_rounds = 12
later 34: signature = inspect.signature(function)
later 35: git config --global credential.helper store
later 36: session = requests.Session()
later 37: npm ERR! code E401 npm ERR! Unable to authenticate, need: Bearer authorization_uri
later 38: "pass": {d2}, "fail": 0, "skip": {d1}
later 39: REDIS_URL=redis://localhost:6379/0
later 40: <PasswordField label="New password" value={password} onChange={setPassword} />
later 41: token_bucket = TokenBucket(rate={d2}, capacity={d3})
later 42: drwxr-xr-x  2 root root {d4} secrets
later 43: cert serial {HEX2}:{HEX2}:{HEX2}:{HEX2}:{HEX2}:{HEX2}:{HEX2}:{HEX2}
later 44: WARN  auth.{word} - login failed for user {word}, reason=bad_credentials
later 45: export const AUTH_COOKIE = 'auth_token';
later 46: DB_HOST=localhost DB_PORT=5432 DB_USER=app DB_PASSWORD=
later 47: secret_name   = "{word}/prod/api-key"
later 48: - uses: docker/login-action@v3\n  with:\n    password: ${{ secrets.GITHUB_TOKEN }}
last 1: passport.use(new LocalStrategy(verify))
last 2: export const passwordSchema = z.object({ password: z.string() })
last 3: {word} secret santa list: {word}, {word}
last 4: Token kind {d1} at {d2}:{d1}
last 5: key={word}-{d3} val={d3}
last 6: cached_tokens={d5} reasoning_tokens={d4}
last 7: secretKeyRef: {name: {word}, key: token}
last 8: client_secret = settings.CLIENT_SECRET
last 9: kubectl describe secret {word} -n {word}
last 10: password must not be {word}
last 11: docker run --user 1000:1000 -p 8080:80 {word}
last 12: ssh -u {word} -p 2222 host.test
last 13: token=None, secret=None, key=None
last 14: hash: {hex40}
last 15: "authToken": "string"
last 16: npm token list
last 17: password for user {word}:
last 18: the token is {word}
last 19: useAuth({ required: true })
last 20: access_token: String! @deprecated
last 21: cp .env.example .env  # then set API_KEY
last 22: "secret": false, "private": true
last 23: assertThat(user.getPassword()).isNull()
last 24: VAULT_ADDR=https://vault.test:8200
last 25: openssl req -new -key server.key -out server.csr
last 26: --set image.tag={hex7} --set replicas={d1}
"""
