"""Kinds of a later look for what is missed, written before the rules were read again: `kind: text`.

Each was missed at that look, or is of the same kind as one that was. The figures of that look are in docs/privacy.md.
"""

from typing import Final

FRESH: Final = r"""
fresh insert: INSERT INTO users (email, password) VALUES ('x', '«{pw}»')
fresh insert more: INSERT INTO accounts(login, pwd, created) VALUES ('x', '«{pw}»', now());
fresh insert rows: insert into tokens (name, access_token)\nvalues\n  ('ci', '«{an24}»'),\n  ('cd', '«{an24}»');
fresh insert quoted: INSERT INTO `users` (`id`, `password`, `note`) VALUES (1, '«{an14}»', 'O''Brien, x');
fresh csv: name,login,password\n{Word},{word},«{an14}»\n{Word},{word},«{an14}»
fresh csv first: password,login\n«{an14}»,{word}\n
fresh csv semicolon: service;api_key;owner\nmail;«{an24}»;ops\n
fresh csv tab: host\tuser\tpassword\nweb1\tadmin\t«{an14}»\n
fresh csv quoted: "username","password","active"\n"{word}","«{an14}»","1"\n
fresh psql:  id | username | password\n----+----------+---------\n  1 | {word}  | «{an14}»\n(1 row)
fresh mysql: +----+----------+\n| id | password |\n+----+----------+\n|  1 | «{an14}» |\n+----+----------+
fresh markdown: | Service | Password |\n|---|---|\n| {Word} | `«{an14}»` |\n| {Word} | `«{an14}»` |\n
fresh fill locator: page.locator('#password').fill('«{pw}»')
fresh fill label: await page.getByLabel('Password').fill('«{pw}»');
fresh fill role: await page.getByRole('textbox', { name: 'Password' }).fill('«{pw}»');
fresh fill placeholder: page.get_by_placeholder("Enter password").fill("«{pw}»")
fresh fill keys: driver.find_element(By.ID, 'password').send_keys('«{pw}»')
fresh fill java: driver.findElement(By.id("password")).sendKeys("«{pw}»");
fresh fill cypress: cy.get('[name=password]').type('«{pw}»')
fresh fill set: find('#user_password').set('«{pw}»')
fresh fill value: document.getElementById('password').value = '«{pw}»'
fresh fill jquery: $('#password').val('«{pw}»')
fresh fill with: fill_in 'Password', with: '«{pw}»'
fresh fill tool: {"element":"Password field","ref":"e{d2}","text":"«{pw}»"}
fresh fill tool box: {"element": "Login password textbox", "ref": "s1e{d2}", "text": "«{pw}»", "submit": true}
fresh fill selector: {"selector":"input#password","value":"«{pw}»"}
fresh fill change: fireEvent.change(screen.getByLabelText(/password/i), { target: { value: '«{pw}»' } })
fresh fill typed: {"type":"password","value":"«{pw}»"}
fresh markup bold: <p>Password: <strong>«{an14}»</strong></p>
fresh markup after: <li><b>Password:</b> <code>«{an14}»</code></li>
fresh markup cell: <tr><th>Password</th><td>«{an14}»</td></tr>
fresh markup next line: <td>Password</td>\n      <td>«{an14}»</td>
fresh markup term: <dt>Password:</dt>\n<dd>«{an14}»</dd>
fresh basic requests: requests.get(u, auth=HTTPBasicAuth('{word}', '«{pw}»'))
fresh basic go: req.SetBasicAuth("{word}", "«{pw}»")
fresh basic java: given().auth().basic("{word}", "«{pw}»")
fresh basic tuple: basic_auth=('{word}', '«{pw}»')
fresh basic digest: HTTPDigestAuth('{word}', '«{pw}»')
fresh words mnemonic: mnemonic: «{phrase12}»
fresh words seed: my seed phrase: «{phrase12}»
fresh words recovery: Recovery phrase is «{phrase24}»
fresh words env: MNEMONIC="«{phrase12}»"
fresh api key: API key: «{an12}7»
fresh secret key: the secret key is «{an12}7»
fresh signing key: Signing key = «{an12}7»
fresh verification: Your verification code is «{d6}»
fresh backup code: backup code: «{az5}7-{az5}4»
fresh assign r: api_token <- "«{an24}»"
fresh assign r outer: secret_key <<- '«{an24}»'
fresh cvv: cvv: «384»
fresh cvc json: {"number":"x","cvc":"«737»"}
fresh cvv form: card[cvv]=«384»
fresh cvv input: <input name="cvv" value="«384»">
fresh cvv brackets: security code (cvc): «737»
fresh api key cell: | API Key | Owner |\n|---|---|\n| «{an12}7» | ops |
fresh hash apache: {word}:«$apr1${an8}${an22}»
fresh hash django: pbkdf2_sha256$870000$«{an22}${b43}=»
fresh hash werkzeug: «scrypt:32768:8:1${an16}${hex128}»
fresh hash ldap: userPassword: «{SSHA}{b40}»
fresh hash postgres: «SCRAM-SHA-256$4096:{b22}==${b43}=:{b43}=»
fresh hash mysql: «*{HEX40}»
fresh hash wordpress: user_pass «$P$B{an30}»
fresh key base64: KEY=«LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZLS0tLS0K{an80}»
fresh key base64 rsa: echo «LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ{an80}» | base64 -d
fresh key der: key: «MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC{b200}»
fresh key der rsa: «MIIEpAIBAAKCAQEA{b200}»
fresh key der ec: pkcs8 «MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg{b90}»
fresh key tail: ...\n«{pem}»\n«{pem}»\n-----END OPENSSH PRIVATE KEY-----
fresh jwk ec: {"kty":"EC","crv":"P-256","x":"{w43}","y":"{w43}","d":"«{w43}»"}
fresh jwk rsa: {"p":"«{w171}»","kty":"RSA","q":"«{w171}»","d":"«{w340}»","e":"AQAB","n":"{w340}"}
fresh jwk oct: {"kty": "oct", "k": "«{w43}»"}
fresh token discord: https://discord.com/api/v10/webhooks/{d18}/«{w68}»
fresh token ifttt: https://maker.ifttt.com/trigger/door/with/key/«{an43}»
fresh token swarm: docker swarm join --token «SWMTKN-1-{az50}-{az25}» 10.0.0.2:2377
fresh token posthog: «phx_{an47}»
"""

FRESH_PEOPLE: Final = r"""
fresh name author: Author: «{Word} {Word}» <{word}@{word}.test>
fresh name quoted: To: "«{Word}, {Word}»" <{word}@{word}.test>
fresh name accents: by «José {Word}-López» <jl@{word}.test>
fresh name lower: Author: «{word}{d2}» <{word}@users.noreply.github.com>
fresh name cjk: «王小明» <xm@wang.test>
fresh name npm: "author": "«{Word} {Word}» <{word}@mail.test> (https://x.test)"
fresh name trailer: Co-authored-by: «{Word} de {Word}» <{word}@{word}.test>
fresh name blame: ^{hex8} («{Word} {Word}» 2024-07-01 10:00:00 +0200  12) def f():
fresh owner ls: -rw-r--r--  1 «{word}q»  staff  1284 Jul  1 10:00 README.md
fresh owner group: drwxrwxr-x 3 «{word}.l» root 4096 Jul  1 10:00 src
fresh owner own group: drwxrwxr-x 3 «kim.lee» «kim.lee» 4096 Jul  1 10:00 src
fresh owner attributes: -rw-r--r--@ 1 «{word}q» staff 5 Jul 1 10:00 x
fresh owner tar: -rw-r--r-- «{word}q»/users 1234 2024-07-01 10:00 a/b.txt
fresh owner id: uid=501(«{word}q») gid=20(staff) groups=20(staff),12(everyone)
fresh owner stat: Access: (0644/-rw-r--r--)  Uid: ( 1000/ «{word}q»)   Gid: ( 100/ users)
fresh owner env: LOGNAME=«{word}q»
fresh owner sudo: SUDO_USER=«{word}q» make install
fresh owner ps: USER PID\n«{word}q»  4213  0.0  0.1  12345  6789 pts/0  Ss  10:00  0:00 -bash
fresh mac link: link/ether «52:54:00:1a:{hex2}:3c» brd ff:ff:ff:ff:ff:ff
fresh mac windows: Physical Address. . . : «F4-8E-38-B2-{HEX2}-5D»
fresh mac json: {"mac":"«f4:8e:38:b2:{hex2}:5d»"}
fresh mac env: HWADDR=«F4:8E:38:B2:{HEX2}:5D»
fresh mac arp: ? (x) at «f4:8e:38:b2:{hex2}:5d» on en0
fresh mail russian: пишите «иван.петров@пример.рф»
fresh mail chinese: to=«li@例え.中国»;
fresh mail at: {word} <«{word}(at){word}.com»>
fresh born german: geb. am: geboren am «12.07.19{d2}»
fresh born month: born on «12 July 1984»
fresh born english: DOB: «March 3, 1990»
fresh born french: née le «14/07/1970»
fresh born spanish: fecha de nacimiento: «5 de mayo de 1985»
fresh born russian: дата рождения: «01.02.1980»
fresh passport german: Reisepass-Nr. «C01X0{d1}T47»
fresh home documents: C:\Documents and Settings\«{word}»\Desktop
fresh home listing: drwx------ 2 root root 64 Jul 1 10:00 -Users-«{word}»-src-app
"""

FRESH_LOOK_ALIKES: Final = r"""
fresh insert parameters: INSERT INTO users (email, password) VALUES ($1, $2)
fresh insert question: INSERT INTO users (name, password) VALUES (?, ?)
fresh insert named: INSERT INTO users (email, password) VALUES (:email, :password)
fresh insert function: INSERT INTO users (name, password) VALUES ('{word}', crypt($1, gen_salt('bf')))
fresh insert other: INSERT INTO t (a, b) VALUES ('x', '{an10}')
fresh insert label: insert into fields (name, label) values ('password', 'Password')
fresh csv words: option,password\nrequired,true\n
fresh csv types: field,type\npassword,string\ntoken,string
fresh csv tokens: token,count\nthe,{d3}\nand,{d3}
fresh markdown words: | Field | Password |\n|---|---|\n| required | yes |
fresh markdown names: | Variable | Default |\n|---|---|\n| `DB_PASSWORD` | none |\n| `API_KEY` | unset |
fresh schema: password | varchar(255) | not null
fresh fill variable: page.locator('#password').fill(password)
fresh fill env: await page.fill('#password', process.env.PASSWORD)
fresh fill check: cy.get('#password').should('be.visible')
fresh fill key: driver.find_element(By.ID, 'password').send_keys(Keys.RETURN)
fresh fill click: {"element":"Password field","ref":"e{d2}"}
fresh fill search: {"element":"Search box","ref":"e{d1}","text":"laptop {d2} inch"}
fresh fill label: {"label":"Password","helperText":"At least 8 characters"}
fresh fill empty: {"type":"password","placeholder":"Password","value":""}
fresh fill wrong: cy.get('[data-test=password]').type('wrong password')
fresh fill translated: [t('password'), 'Email address']
fresh markup words: <td>Password</td><td>required</td>
fresh markup label: <label for="password">Password</label><span>required</span>
fresh markup em: Password <em>is</em> required
fresh basic variables: HTTPBasicAuth(user, password)
fresh basic words: auth('admin', 'read')
fresh words number: seed phrase: 12 or 24 words
fresh words type: mnemonic: string
fresh words seed: random seed is {d4}
fresh api key words: API key: required
fresh api key missing: No API key provided.
fresh api key invalid: the API key is invalid
fresh code status: verification code: 6 digits
fresh cvv type: cvv: string
fresh cvv pattern: cvv: /^[0-9]{3,4}$/
fresh cvv long: cvc: {d5}
fresh hash sum: md5: {hex32}
fresh hash integrity: sha256-{b43}=
fresh hash scheme: the pbkdf2_sha256 hasher, {SHA} and SCRAM-SHA-256
fresh hash price: $P$ and *DEADBEEF
fresh key public: MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA{b90}
fresh key certificate: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1J{an60}
fresh key sentence: a file ends with -----END PRIVATE KEY-----
fresh jwk public: {"kty":"EC","crv":"P-256","x":"{w43}","y":"{w43}"}
fresh name claude: Co-Authored-By: Claude <noreply@anthropic.com>
fresh name bot: Author: dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>
fresh name generic: const x: Map <K, V> = new Map<string, number>()
fresh name blame: {hex8} (Not Committed Yet 2024-07-01 10:00:00 +0200 12) x
fresh owner root: drwxr-xr-x 2 root root 4096 Jul 1 10:00 x
fresh owner node: -rw-r--r-- 1 node node 12 Jul 1 10:00 package.json
fresh owner number: -rw-r--r-- 1 1000 1000 12 Jul 1 10:00 a
fresh owner prose: set the mode to rwxr-xr-x and -rw-r--r-- where needed
fresh owner id: uid=33(www-data) gid=33(www-data) groups=33(www-data)
fresh owner rule: ----------  1 file changed
fresh owner ps: root 1 0.0 0.1 1234 567 ? Ss 10:00 0:00 /sbin/init
fresh owner table: parse_json 1200 0.3 0.5 100 200 ok
fresh mac broadcast: ff:ff:ff:ff:ff:ff and 00:00:00:00:00:00
fresh mac fingerprint: MD5:{hexpairs}
fresh mac moment: log-24-07-01-10-15-30 and 24-07-01-10-15-30
fresh mail decorator: @property.getter and foo@1.{d1}.3
fresh born words: born to code, née Dupont, geb. Schmidt
fresh assign r: x <- c(1, 2, 3); password <- readline()
fresh assign channel: msg := <-tokens
fresh image: data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf{an80}
fresh terraform: password = (sensitive value)
fresh terraform known: db_password: (known after apply)
"""
