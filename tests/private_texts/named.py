"""Secrets without a form of their own, known by a name or a place: `kind: text`, the secret between « and »."""

from typing import Final

NAMED: Final = r"""
env password: DB_PASSWORD=«{pw}»
env exported: export POSTGRES_PASSWORD='«{pw}»'
env quoted: MYSQL_ROOT_PASSWORD="«{pw}»"
env prefix: PGPASSWORD=«{pw}» psql -h db -U app -c 'select 1'
env pass: SMTP_PASS=«{pw}»
env pwd: MYSQL_PWD=«{pw}» mysqldump app
env secret: SESSION_SECRET=«{hex64}»
env jwt secret: JWT_SECRET=«{an40}»
env api key: OPENWEATHER_API_KEY=«{hex32}»
env vendor key: MISTRAL_API_KEY=«{an32}»
env plain key: WEATHER_KEY=«{an32}»
env token: CODECOV_TOKEN=«{uuid}»
env auth: REGISTRY_AUTH=«{base36}»
env authkey: TS_AUTHKEY=«{an40}»
env pat: AZURE_PAT=«{az52}»
env salt: PASSWORD_SALT=«{an24}»
env hash salt: HASHIDS_SALT=«{an32}»
env signature: REQUEST_SIGNATURE=«{hex64}»
env sig: PAYLOAD_SIG=«{base32}»
env dsn: SENTRY_DSN=https://«{hex32}»@o{d6}.ingest.sentry.io/{d7}
env webhook: ALERT_WEBHOOK_URL=https://alerts.corp.test/hooks/«{an40}»
env mnemonic: WALLET_MNEMONIC="«{phrase12}»"
env seed phrase: SEED_PHRASE='«{phrase12}»'
env passphrase: GPG_PASSPHRASE="«{phrase5}»"
env credential: SERVICE_CREDENTIAL=«{an30}»
env credentials: FTP_CREDENTIALS=bob:«{pw}»
env client secret: OAUTH_CLIENT_SECRET=«{an40}»
env encryption key: ENCRYPTION_KEY=«{base32}»
env private key hex: ETH_PRIVATE_KEY=0x«{hex64}»
env app key: APP_KEY=base64:«{base32}»
env secret key base: SECRET_KEY_BASE=«{hex128}»
env cookie secret: COOKIE_SECRET=«{base24}»
env license: LICENSE_KEY=«{AZ5}-{AZ5}-{AZ5}-{AZ5}»
env datadog: DD_API_KEY=«{hex32}»
env datadog app: DD_APP_KEY=«{hex40}»
env cloudflare: CLOUDFLARE_API_TOKEN=«{w40}»
env wandb: WANDB_API_KEY=«{hex40}»
env twilio: TWILIO_AUTH_TOKEN=«{hex32}»
env algolia: ALGOLIA_ADMIN_KEY=«{hex32}»
env okta: OKTA_API_TOKEN=«00{w40}»
env vercel: VERCEL_TOKEN=«{an24}»
env numbers: ADMIN_PASSWORD=«{d8}»
env pin number: PORTAL_PASSCODE=«{d6}»
env digits suffix: DB_PASSWORD_2=«{pw}»
env camel: dbPassword=«{pw}»
env dotted: spring.datasource.password=«{pw}»
env joined: rootpassword=«{pw}»
env otp secret: TOTP_SECRET=«{AZ32}»
env storage key: AZURE_STORAGE_KEY=«{base64}»
env connection: DATABASE_CONNECTION_STRING="Server=db;User Id=sa;Password=«{pw}»;"
env mailgun signing: MAILGUN_WEBHOOK_SIGNING_KEY=«{hex32}»
env csharp nested: ConnectionStrings__Password=«{pw}»
env default: DB_PASSWORD=${DB_PASSWORD:-«{pw}»}
spring default: password: ${DB_PASSWORD:«{pw}»}
js default: password: process.env.DB_PASSWORD || '«{pw}»',
python default: password = os.environ.get("DB_PASSWORD", "«{pw}»")
json password: {"user": "app", "password": "«{pw}»", "port": 5432}
json secret: {"clientId":"x","clientSecret":"«{an40}»"}
json number: {"password": «{d8}», "user": "app"}
json list: {"password": ["«{pw}»"]}
json list two: {"passwords": ["«{pw}»", "x"], "n": 1}
json object: {"api_key": {"value": "«{an32}»"}}
json name value: {"name": "DB_PASSWORD", "value": "«{pw}»"}
json key value: {"Key": "ApiToken", "Value": "«{an32}»"}
json value first: {"value": "«{pw}»", "name": "DB_PASSWORD"}
json name type value: {"name": "db_password", "type": "String", "value": "«{pw}»"}
json arguments: {"args": ["connect", "--password", "«{pw}»", "--host", "db"]}
json arguments key: ["npx", "server", "--api-key", "«{an32}»"]
json arguments single: ["--client-secret=«{an32}»"]
json pair: [["user", "bob"], ["password", "«{pw}»"]]
json escaped: {"body": "{\"password\": \"«{pw}»\"}"}
json camel: {"authToken":"«{an32}»"}
json access token: {"access_token":"«{an40}»","token_type":"Bearer","expires_in":3600}
json refresh token: {"refresh_token": "«{an64}»"}
json private key id: {"kty":"RSA","d":"x","client_secret":"«{w40}»"}
json docker auth: {"auths":{"ghcr.io":{"auth":"«{base40}»"}}}
json mongo: {"accessKeyId":"x1","secretAccessKey":"«{b40}»"}
yaml password: password: «{pw}»
yaml nested: database:\n  user: app\n  password: «{pw}»\n  host: db
yaml quoted: password: "«{pw}»"
yaml single: apiKey: '«{an32}»'
yaml env list: - name: DB_PASSWORD\n  value: «{pw}»
yaml env list quoted: env:\n  - name: API_TOKEN\n    value: "«{an32}»"\n  - name: PORT\n    value: "80"
yaml block: password: |\n  «{pw}»\nuser: bob
yaml folded: secret: >-\n  «{an40}»\nuser: bob
yaml tag: password: !!str «{pw}»
yaml anchor: password: &pw «{pw}»
yaml list: args:\n  - --password\n  - «{pw}»\n  - --host
yaml list equals: args: ["--token=«{an32}»"]
yaml key list: passwords:\n  - «{pw}»
yaml ansible: ansible_become_pass: «{pw}»
yaml kubernetes secret: apiVersion: v1\nkind: Secret\ntype: Opaque\ndata:\n  username: YXBw\n  db-conn: «{base30}»
yaml kubernetes string data: apiVersion: v1\nkind: Secret\nstringData:\n  config: «{an24}»
yaml kubeconfig: users:\n- name: admin\n  user:\n    client-key-data: «{base120}»
yaml kubeconfig token: users:\n- name: admin\n  user:\n    token: «{an40}»
yaml compose: environment:\n  - POSTGRES_PASSWORD=«{pw}»
toml: [database]\npassword = "«{pw}»"
toml inline: db = { user = "app", password = "«{pw}»" }
ini: [client]\nuser=app\npassword=«{pw}»
ini aws: [default]\naws_access_key_id = AKIA\naws_secret_access_key = «{b40}»
properties: db.password=«{pw}»
netrc: machine api.corp.test login bob password «{pw}»
netrc lines: machine api.corp.test\n  login bob\n  password «{pw}»
pgpass: db.corp.test:5432:app:bob:«{pw}»
npmrc: //registry.npmjs.org/:_authToken=«{uuid}»
npmrc auth: _auth=«{base24}»
pypirc: [pypi]\nusername = __token__\npassword = «{an40}»
maven: <server><id>corp</id><username>bob</username><password>«{pw}»</password></server>
xml element: <ApiKey>«{an32}»</ApiKey>
xml attribute: <add key="DbPassword" value="«{pw}»"/>
xml property: <property name="password" value="«{pw}»"/>
xml named element: <entry key="password">«{pw}»</entry>
xml android: <string name="maps_api_key">«{an32}»</string>
xml plist: <key>ApiToken</key>\n<string>«{an32}»</string>
xml typed: <password type="string">«{pw}»</password>
xml soap: <wsse:Password Type="PasswordText">«{pw}»</wsse:Password>
xml lines: <secret>\n  «{an32}»\n</secret>
html input: <input type="hidden" name="auth_token" value="«{an40}»">
python assign: password = "«{pw}»"
python keyword: connect(host="db", user="app", password="«{pw}»")
python dict: config = {'secret_key': '«{an40}»'}
python subscript: os.environ["DB_PASSWORD"] = "«{pw}»"
python bytes: SECRET_KEY = b"«{an32}»"
python fstring: token = f"«{an32}»"
python typed: password: str = "«{pw}»"
python setenv: monkeypatch.setenv("API_TOKEN", "«{an32}»")
python setdefault: os.environ.setdefault("DB_PASSWORD", "«{pw}»")
python auth tuple: requests.get(url, auth=("bob", "«{pw}»"))
python secretstr: password=SecretStr("«{pw}»")
js const: const apiKey = "«{an32}»";
js typed: const dbPassword: string = '«{pw}»';
js object: { user: 'app', password: '«{pw}»' }
js template: const token = `«{an40}»`;
js compare: if (password === "«{pw}»") {
js header: headers: { 'X-Api-Key': '«{an32}»' }
js storage: localStorage.setItem('token', '«{an40}»')
go const: const apiToken string = "«{an32}»"
go short: password := "«{pw}»"
go setenv: os.Setenv("DB_PASSWORD", "«{pw}»")
java field: private static final String DB_PASSWORD = "«{pw}»";
java property: props.setProperty("password", "«{pw}»");
java annotation: @Value("${db.password:«{pw}»}")
java driver: DriverManager.getConnection(url, "app", "«{pw}»")
rust: let password = String::from("«{pw}»");
csharp: public string Password { get; set; } = "«{pw}»";
php: define('DB_PASSWORD', '«{pw}»');
php arrow: 'password' => '«{pw}»',
ruby: password: "«{pw}»",
ruby env: ENV['API_TOKEN'] = '«{an32}»'
elixir: config :app, secret_key_base: "«{an64}»"
kotlin: val apiKey = "«{an32}»"
swift: let apiKey: String = "«{an32}»"
terraform: variable "db_password" {\n  default = "«{pw}»"\n}
terraform assign: db_password = "«{pw}»"
terraform block: environment {\n  name  = "DB_PASSWORD"\n  value = "«{pw}»"\n}
hcl vault: secret_id = "«{uuid}»"
sql identified: CREATE USER app IDENTIFIED BY '«{pw}»';
sql password: ALTER USER app WITH PASSWORD '«{pw}»';
sql encrypted: CREATE ROLE app LOGIN ENCRYPTED PASSWORD '«{pw}»';
sql function: SET PASSWORD FOR 'app'@'%' = PASSWORD('«{pw}»');
sql update: UPDATE users SET password='«{pw}»' WHERE id=1
sql mssql: CREATE LOGIN app WITH PASSWORD = N'«{pw}»';
sql dblink: dblink('host=db user=app password=«{pw}» dbname=x')
dockerfile env: ENV DB_PASSWORD «{pw}»
dockerfile arg: ARG NPM_TOKEN=«{an36}»
windows setx: setx DB_PASSWORD «{pw}»
windows set: set DB_PASSWORD=«{pw}»
powershell env: $env:DB_PASSWORD = "«{pw}»"
powershell variable: $password = "«{pw}»"
powershell secure: ConvertTo-SecureString "«{pw}»" -AsPlainText -Force
powershell parameter: New-LocalUser -Name bob -Password «{pw}»
fish set: set -x API_TOKEN «{an32}»
fish set global: set -gx DB_PASSWORD «{pw}»
csh setenv: setenv DB_PASSWORD «{pw}»
gh secret: gh secret set DB_PASSWORD --body «{pw}»
gh secret short: gh secret set API_TOKEN -b"«{an32}»" -R o/r
heroku config: heroku config:set SECRET_KEY=«{an40}» -a app
fly secret: fly secrets set DB_PASSWORD=«{pw}»
kubectl literal: kubectl create secret generic db --from-literal=password=«{pw}»
kubectl literal other: kubectl create secret generic db --from-literal=conn=«{an24}»
helm set: helm upgrade app ./chart --set auth.password=«{pw}»
aws ssm: aws ssm put-parameter --name /app/db_password --type SecureString --value «{pw}»
aws secret: aws secretsmanager create-secret --name db --secret-string «{pw}»
aws configure: aws configure set aws_secret_access_key «{b40}»
vault put: vault kv put secret/app password=«{pw}»
vault login: vault login «{an28}»
pulumi config: pulumi config set --secret dbPassword «{pw}»
doppler set: doppler secrets set API_KEY «{an32}»
npm set: npm config set //registry.npmjs.org/:_authToken «{uuid}»
wrangler: echo «{an40}» | wrangler secret put API_TOKEN
docker stdin: echo «{pw}» | docker login ghcr.io -u bob --password-stdin
docker login: docker login -u bob -p «{pw}» ghcr.io
docker login long: docker login --username bob --password «{pw}» ghcr.io
docker env: docker run -e POSTGRES_PASSWORD=«{pw}» postgres:16
podman login: podman login -u bob -p «{pw}» quay.io
helm registry: helm registry login ghcr.io -u bob -p «{pw}»
az login: az login --service-principal -u x -p «{w34}» --tenant t
cargo login: cargo login «{an36}»
gem push: GEM_HOST_API_KEY=«{hex48}» gem push x.gem
curl user: curl -u bob:«{pw}» https://api.corp.test/v1
curl user quoted: curl --user 'bob:«{pw}»' https://api.corp.test/v1
curl user joined: curl -ubob:«{pw}» https://api.corp.test/v1
curl options: curl -sS -X POST -u "bob:«{pw}»" https://api.corp.test
curl cookie: curl -b 'session=«{an32}»' https://app.corp.test/
curl cookie long: curl --cookie "sid=«{an40}»; theme=dark" https://app.corp.test/
curl header: curl -H 'X-Api-Key: «{an32}»' https://api.corp.test
curl header auth: curl -H "Authorization: token «{hex40}»" https://api.corp.test
curl private token: curl --header "PRIVATE-TOKEN: «{w20}»" https://gitlab.corp.test/api/v4
curl data: curl -d 'username=bob&password=«{pw}»' https://x.test/login
curl json: curl -d '{"password":"«{pw}»"}' https://x.test/login
curl proxy: curl --proxy-user bob:«{pw}» https://x.test
wget: wget --user=bob --password=«{pw}» https://x.test/f
wget http: wget --http-password «{pw}» https://x.test/f
httpie: http -a bob:«{pw}» GET https://x.test
redis: redis-cli -h cache -a «{pw}» ping
redis acl: ACL SETUSER bob on >«{pw}» ~* +@all
redis auth: AUTH «{an24}»
mongosh: mongosh --host db -u admin -p «{pw}» admin
mysql: mysql -u root -p«{pw}» app
mysql long: mysqldump --user=root --password=«{pw}» app
mysqladmin: mysqladmin -u root -p'«{pw}»' status
sqlcmd: sqlcmd -S db -U sa -P «{pw}» -Q "select 1"
bcp: bcp app.dbo.t out t.csv -S db -U sa -P «{pw}»
sqlplus: sqlplus scott/«{pw}»@//db:1521/orcl
influx: influx -username admin -password «{pw}»
cqlsh: cqlsh -u cassandra -p «{pw}» db
clickhouse: clickhouse-client --user default --password «{pw}»
neo4j: cypher-shell -u neo4j -p «{pw}»
rabbit: rabbitmqctl add_user bob «{pw}»
ldap: ldapsearch -x -D "cn=admin,dc=x" -w «{pw}» -b dc=x
smb: smbclient //host/share -U 'bob%«{pw}»'
net use: net use Z: \\\\host\\share «{pw}» /user:corp\\bob
net user: net user bob «{pw}» /add
cmdkey: cmdkey /add:host /user:bob /pass:«{pw}»
psexec: psexec \\\\host -u bob -p «{pw}» cmd
xfreerdp: xfreerdp /u:bob /p:«{pw}» /v:host
sshpass: sshpass -p '«{pw}»' ssh bob@host.test
sshpass joined: sshpass -p«{pw}» scp f host:/tmp
lftp: lftp -u bob,«{pw}» sftp.corp.test
ftp: ftp://bob:«{pw}»@ftp.corp.test/f
htpasswd: htpasswd -bc .htpasswd bob «{pw}»
htpasswd order: htpasswd -b -c /etc/nginx/.htpasswd bob «{pw}»
openssl passin: openssl rsa -in k.pem -passin pass:«{pw}» -out o.pem
openssl passout: openssl genrsa -aes256 -passout pass:«{pw}» 4096
openssl k: openssl enc -aes-256-cbc -k «{pw}» -in a -out b
openssl passwd: openssl passwd -6 «{pw}»
zip: zip -r -P «{pw}» out.zip dir
unzip: unzip -P «{pw}» in.zip
7z: 7z x -p«{pw}» in.7z
gpg: gpg --batch --passphrase «{pw}» -d f.gpg
keytool: keytool -genkey -keystore k.jks -storepass «{pw}» -keypass changeit
jarsigner: jarsigner -keystore k.jks -storepass «{pw}» a.jar alias
chpasswd: echo 'bob:«{pw}»' | sudo chpasswd
passwd stdin: echo "«{pw}»" | passwd --stdin bob
useradd: useradd -m -p '«{an30}»' bob
sudo stdin: echo '«{pw}»' | sudo -S apt update
wifi: nmcli dev wifi connect home password "«{pw}»"
wpa: network={\n  ssid="home"\n  psk="«{pw}»"\n}
wireguard: [Interface]\nPrivateKey = «{base32}»
ansible: ansible-playbook site.yml -e "ansible_password=«{pw}»"
jenkins: java -jar jenkins-cli.jar -auth bob:«{hex34}» build x
twine: twine upload -u bob -p «{pw}» dist/*
svn: svn co --username bob --password «{pw}» https://svn.test
restic: RESTIC_PASSWORD=«{pw}» restic backup /data
rclone: rclone config create r webdav user bob pass «{pw}»
snowsql: snowsql -a acct -u bob --password «{pw}»
url postgres: postgresql://app:«{pw}»@db.corp.test:5432/app
url redis no user: redis://:«{pw}»@cache:6379/0
url mongodb: mongodb+srv://app:«{an20}»@cluster0.corp.test/db
url amqp: amqp://guest1:«{pw}»@mq:5672//
url https: https://bob:«{an24}»@git.corp.test/o/r.git
url token user: https://«{hex40}»@git.corp.test/o/r.git
url oracle: jdbc:oracle:thin:scott/«{an14}»@db:1521/orcl
url jdbc: jdbc:mysql://db/app?user=app&password=«{an18}»
url sqlserver: jdbc:sqlserver://db;user=sa;password=«{pw}»;encrypt=true
url cloudinary: cloudinary://{d15}:«{w27}»@demo
url encoded userinfo: https%3A%2F%2Fbob%3A«{an20}»%40git.corp.test%2Fo
url aws signature: https://b.s3.amazonaws.com/o?X-Amz-Expires=60&X-Amz-Signature=«{hex64}»
url aws token: https://b.s3.amazonaws.com/o?X-Amz-Security-Token=«{an120}»&x=1
url aws v2: https://b.s3.amazonaws.com/o?Expires=1&Signature=«{an26}%3D»
url google signature: https://storage.googleapis.com/b/o?X-Goog-Algorithm=G&X-Goog-Signature=«{hex128}»
url azure sas: https://a.blob.core.windows.net/c/b?sv=2022-11-02&sp=r&sig=«{an42}%3D»
url oauth code: https://app.corp.test/callback?code=«{an40}»&state=x
url fragment token: https://app.corp.test/#access_token=«{an40}»&token_type=bearer
url api key: https://api.corp.test/v1/data?api_key=«{an32}»&q=x
url apikey: https://api.corp.test/v1/data?apikey=«{hex32}»
url key: https://api.corp.test/v1/geo?key=«{an39}»
url token: https://api.corp.test/v1/data?token=«{an32}»
url auth: https://rtdb.corp.test/x.json?auth=«{an40}»
url encoded param: redirect=https%3A%2F%2Fx.test%2Fcb%3Ftoken%3D«{an32}»%26n%3D1
url teams: https://corp.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/«{hex32}»/{uuid}
url discord: https://discord.com/api/webhooks/{d18}/«{w68}»
url slack: https://hooks.slack.com/services/T{AZ8}/B{AZ10}/«{an24}»
url logic app: https://prod-01.westeurope.logic.azure.com/workflows/{hex32}/triggers/manual/paths/invoke?sp=x&sig=«{w43}»
url telegram: https://api.telegram.org/bot«{d10}:AA{w33}»/sendMessage
url zapier: https://hooks.zapier.com/hooks/catch/{d7}/«{az7}»/
url google chat: https://chat.googleapis.com/v1/spaces/X/messages?key=AIza&token=«{w43}»
url reset: https://app.corp.test/reset-password?reset_token=«{an40}»
header bearer: Authorization: Bearer «{w40}»
header basic: Authorization: Basic «{pair}»
header token: Authorization: Token «{hex40}»
header folded: Authorization:\r\n Bearer «{w40}»
header api key: X-API-Key: «{an32}»
header folded key: X-Api-Key:\n  «{an32}»
header auth token: X-Auth-Token: «{hex32}»
header vault: X-Vault-Token: «{an28}»
header cookie: Cookie: session=«{an40}»
header set cookie: Set-Cookie: connect.sid=s%3A«{an32}.{an40}»; Path=/; HttpOnly
header proxy: Proxy-Authorization: Basic «{pair}»
header digest: Authorization: Digest username="bob", realm="x", response="«{hex32}»"
header hub signature: X-Hub-Signature-256: sha256=«{hex64}»
header aws: Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, Signature=«{hex64}»
header csrf: X-CSRF-Token: «{an40}»
header ocp: Ocp-Apim-Subscription-Key: «{hex32}»
markdown row: | DB_PASSWORD | «{pw}» |
markdown row code: | `API_TOKEN` | `«{an32}»` |
markdown row three: | db | DB_PASSWORD | «{pw}» | prod |
markdown bold: **Password:** «{pw}»
markdown list: - Password: `«{pw}»`
psql row:  db_password | «{pw}»
csv row: DB_PASSWORD,«{pw}»
key value tab: password\t«{pw}»
prose is: the password is «{pw}» and it works
prose colon: login with user bob, password: «{pw}»
prose quotes: set the admin password to "«{pw}»"
prose user slash: credentials bob / «{pw}» (password)
prose german: Passwort: «{pw}»
prose spanish: contraseña: «{pw}»
prose french: mot de passe : «{pw}»
prose russian: пароль: «{pw}»
prose chinese: 密码\uff1a«{pw}»
prose japanese: パスワード: «{pw}»
log assign: 2026-11-02T10:00:00Z INFO connecting user=app password=«{pw}» host=db
log json: {"level":"info","msg":"login","password":"«{pw}»"}
log arrow: config loaded: api_key => «{an32}»
log repr: Settings(db_host='db', db_password='«{pw}»', debug=True)
log go struct: config &User:app Password:«{pw}» Host:db
log go map: map[password:«{pw}» user:app]
log ruby: Parameters: {"user"=>"bob", "password"=>"«{pw}»"}
log error: FATAL: invalid api key: «{an32}»
log error provided: Incorrect API key provided: «{an32}»
log masked pair: token=«{an32}» expires=3600
diff plus: +DB_PASSWORD=«{pw}»
diff minus: -  password: «{pw}»
diff json: +    "apiKey": "«{an32}»",
private key pem: -----BEGIN PRIVATE KEY-----\n«{pem}»\n«{pem}»\n-----END PRIVATE KEY-----
private key rsa: -----BEGIN RSA PRIVATE KEY-----\n«{pem}»\n«{pem}»\n-----END RSA PRIVATE KEY-----
private key escaped: "private_key": "-----BEGIN PRIVATE KEY-----\\n«{pem}»\\n-----END PRIVATE KEY-----\\n"
private key cut: -----BEGIN OPENSSH PRIVATE KEY-----\n«{pem}»\n«{pem}»
private key putty: PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n«{b48}»\nPrivate-MAC: x
mail gun smtp: smtp://postmaster%40mg.test:«{pw}»@smtp.test:587
bcrypt: password_hash = "$2b$12$«{an53}»"
shadow: root:$6${an8}$«{an86}»:19000:0:99999:7:::
sqlalchemy: create_engine("mysql+pymysql://app:«{an20}»@db/app")
django: SECRET_KEY = 'django-insecure-«{an50}»'
rails: secret_key_base: «{hex128}»
laravel: 'key' => env('APP_KEY', 'base64:«{base32}»'),
wordpress: define('AUTH_KEY', '«{an64}»');
wordpress salt: define('NONCE_SALT', '«{an64}»');
flask: app.config['SECRET_KEY'] = '«{an40}»'
firebase config: apiKey: "«{an39}»", authDomain: "x"
graphql: mutation { login(user: "bob", password: "«{pw}»") { token } }
graphql variables: {"query":"mutation L($p:String!)","variables":{"p":"x","password":"«{pw}»"}}
form multipart: Content-Disposition: form-data; name="password"\r\n\r\n«{pw}»\r\n--x
protobuf text: password: "«{pw}»" user: "bob"
nginx: proxy_set_header X-Api-Key «{an32}»;
apache: SetEnv DB_PASSWORD «{pw}»
systemd: Environment="DB_PASSWORD=«{pw}»"
cron: 0 5 * * * DB_PASSWORD=«{pw}» /usr/bin/backup
make: DB_PASSWORD ?= «{pw}»
make simple: API_TOKEN := «{an32}»
gradle: signingPassword=«{pw}»
gradle dsl: storePassword "«{pw}»"
batch: @set API_KEY=«{an32}»
github actions: env:\n  NPM_TOKEN: «{an36}»
circle: environment:\n  DEPLOY_TOKEN: «{an36}»
vscode: "mcp.server.env": { "API_TOKEN": "«{an32}»" }
mcp add: claude mcp add gh -e GITHUB_TOKEN=«{an40}» -- npx server
mcp header: claude mcp add --transport http x https://x.test --header "Authorization: Bearer «{an40}»"
otlp text: {"key":"db.password","value":{"stringValue":"«{pw}»"}}
otlp headers: OTEL_EXPORTER_OTLP_HEADERS="api-key=«{an36}»"
otlp bearer: OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20«{an36}»"
cli flag: app login --token «{an32}»
cli flag equals: app login --auth-token=«{an32}»
cli flag quoted: app --db-password "«{pw}»" run
cli flag single dash: tool -password «{pw}»
cli flag slash: tool /password:«{pw}»
cli key: tool --key «{an32}»
cli pat: az devops login --pat «{az52}»
cli secret: tool --secret «{an32}»
bearer alone: sent with bearer «{w40}»
colon pair: admin:«{pw}» (default password)
"""
