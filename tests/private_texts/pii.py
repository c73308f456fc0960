"""What names a person or where one lives, as `kind: text`, the private part between « and »."""

from typing import Final

PII: Final = r"""
email: mail «{word}.{word}@{word}.com» about it
email plus: «{word}+{word}@{word}.co.uk»
email json: {"email":"«{word}@{word}.io"»}
email angle: {Word} {Word} <«{word}_{word}@{word}.org»>
email git: Author: {Word} {Word} <«{word}.{word}@{word}.de»>
email mailto: <a href="mailto:«{word}@{word}.net»">mail</a>
email url: https://x.test/u?email=«{word}%40{word}.com»
email entity: «{word}&#64;{word}.com»
email quoted: «"{word} {word}"@{word}.com»
email unicode: «jürgen.{word}@{word}.de»
email idn: «{word}@bücher-{word}.de»
email at: «{word} at {word} dot com»
email brackets: «{word} [at] {word} [dot] org»
email subdomain: «{word}@mail.{word}.{word}.com»
email code: send_mail(to=["«{word}@{word}.com»"])
email npm: "author": "{Word} <«{word}@{word}.dev»>"
email log: user=«{word}.{word}@{word}.com» logged in
email csv: 1,{Word},«{word}@{word}.com»,active
email ssh: ssh «{word}@build-{word}.{word}.com»
shell prompt: «{word}@{word}-laptop»:~/src$ make
shell prompt brackets: [«{word}@{word}» ~]$ ls
phone e164: call «+49{d11}»
phone e164 uk: "phone": "«+4479{d8}»"
phone spaces: «+44 20 7946 0{d3}»
phone us: «(415) 555-0{d3}»
phone us dashes: «415-555-0{d3}»
phone us dots: «415.555.0{d3}»
phone us country: «+1 415 555 0{d3}»
phone us one: «1-415-555-0{d3}»
phone france: tél. : «06 12 {d2} {d2} {d2}»
phone france dots: Mobile: «06.12.{d2}.{d2}.{d2}»
phone france plus: «+33 6 12 {d2} {d2} {d2}»
phone germany: Tel.: «030 / {d7}»
phone germany mobile: Handy: «0171 {d7}»
phone italy: cell. «347 {d7}»
phone spain: teléfono: «612 {d3} {d3}»
phone brazil: telefone: «(11) 9{d4}-{d4}»
phone brazil plus: «+55 11 9{d4}-{d4}»
phone india: mobile: «98765 {d5}»
phone india plus: «+91 98765{d5}»
phone japan: 電話: «090-{d4}-{d4}»
phone china: 手机: «138{d8}»
phone korea: 전화: «010-{d4}-{d4}»
phone russia: тел. «8 (495) {d3}-{d2}-{d2}»
phone poland: telefon: «601 {d3} {d3}»
phone netherlands: tel: «06-{d8}»
phone sweden: mobil: «070-{d3} {d2} {d2}»
phone australia: phone «0412 {d3} {d3}»
phone uk mobile: mobile: «07700 900{d3}»
phone uk landline: Telephone «020 7946 0{d3}»
phone json: {"phoneNumber":"«0612{d6}»"}
phone field: contact_phone=«415555{d4}»
phone tel uri: <a href="tel:«+1415555{d4}»">call</a>
phone whatsapp: https://wa.me/«49171{d7}»
phone fax: Fax: «+41 44 {d3} {d2} {d2}»
phone zero: «+44 (0)20 7946 0{d3}»
phone double zero: «0049 171 {d7}»
card visa: «{card:4}»
card mastercard: card number «{card:5}»
card spaces: «{cards:4}»
card dashes: «{cardd:5}»
card amex: «{amex}»
card json: {"cardNumber":"«{card:4}»"}
iban de: IBAN: «{iban:DE18}»
iban bare: pay to «{iban:GB4a14}»
iban spaces: «{ibans:DE18}»
iban fr: {"iban":"«{iban:FR23}»"}
iban nl: «{iban:NL4a10}»
iban es: Transfer «{ibans:ES20}» today
iban ch: «{iban:CH17}»
iban it: «{iban:IT1a22}»
iban pl: konto «{ibans:PL24}»
iban no: «{iban:NO11}»
iban at: iban=«{iban:AT16}»
ssn: SSN «123-45-6{d3}»
ssn json: {"ssn":"«12345{d4}»"}
ssn prose: social security number: «219 09 {d4}»
itin: ITIN: «9{d2}-70-{d4}»
cpf: CPF: «{cpf}»
cpf digits: {"cpf":"«{cpfd}»"}
cnpj: CNPJ «{cnpj}»
aadhaar: Aadhaar: «{aadhaar}»
aadhaar joined: aadhaar_number=«{aadhaarj}»
pan india: PAN: «{up3}P{up1}{d4}{up1}»
nif spain: DNI «{dni}»
nie spain: NIE: «{nie}»
nif portugal: NIF: «{nifpt}»
nino: National Insurance number: «{nino}»
nino spaced: NINO «{ninos}»
nhs: NHS number: «{nhs}»
sin canada: SIN: «{sin}»
bsn: BSN: «{bsn}»
pesel: PESEL: «{pesel}»
steuer id: Steuer-ID: «{steuer}»
steuer idnr: steuerliche Identifikationsnummer «{steuer}»
codice fiscale: codice fiscale: «{codice}»
codice bare: CF {Word}: «{codice}»
china id: 身份证号: «{china}»
china id field: id_card: "«{china}»"
insee: numéro de sécurité sociale : «{insee}»
svnr germany: Sozialversicherungsnummer: «12 {d6} {up1} 012»
ahv: AHV: «{ahv}»
personnummer: personnummer: «{pnr}»
cpr: CPR: «{d6}-{d4}»
fodselsnummer: fødselsnummer: «{fnr}»
hetu: henkilötunnus: «131052-308T»
rijksregister: rijksregisternummer: «{rrn}»
tfn: TFN: «{tfn}»
medicare: Medicare: «2{d3} {d5} {d1}»
curp: CURP: «{up4}{d6}H{up5}{d2}»
rfc: RFC: «{up4}850101{AZ3}»
rut: RUT: «{rut}»
dni argentina: DNI: «{d2}.{d3}.{d3}»
cuit: CUIT: «20-{d8}-{d1}»
nric: NRIC: «{nric}»
my kad: MyKad: «850101-14-{d4}»
rrn korea: 주민등록번호: «{rrnk}»
my number: マイナンバー: «{d4} {d4} {d4}»
tc kimlik: TC Kimlik No: «{tc}»
israel id: Teudat Zehut: «{sin9}»
south africa id: South African ID: «{zaid}»
snils: СНИЛС: «{d3}-{d3}-{d3} {d2}»
inn: ИНН: «{d12}»
passport: passport number: «{up1}{d8}»
passport us: Passport No. «{d9}»
passport json: {"passportNumber":"«{up2}{d7}»"}
driver licence: driver's license: «{up1}{d7}»
licence uk: driving licence number «{up5}{d6}{up2}9{up2}»
tax id ein: EIN: «{d2}-{d7}»
bank account: account number: «{d10}»
routing: routing number: «{d9}»
sort code: sort code «20-{d2}-{d2}» account «{d8}»
date of birth: date of birth: «1985-0{d1}-12»
dob: DOB: «12/0{d1}/1985»
dob json: {"dateOfBirth":"«1985-02-1{d1}»"}
ipv4: from «192.168.1{d1}.1{d1}»
ipv4 public: client «203.0.113.1{d1}»
ipv4 port: connect «10.{d1}.2.3»:5432
ipv4 json: {"ip":"«10.{d1}.4.1{d1}»"}
ipv4 url: http://«192.168.1.2{d1}»:8080/x
ipv6: addr «2001:db8:{hex4}:{hex4}::1»
ipv6 link: «fe80::1ff:fe23:{hex4}:890a»
ipv6 bracket: http://[«2001:db8::{hex4}:1»]:80/
home linux: /home/«{word}{word}»/src/app
home mac: /Users/«{word}»/Library/x
home windows: C:\Users\«{word}.{word}»\AppData
home windows json: {"cwd":"C:\\Users\\«{word}»\\src"}
home windows spaces: C:\Users\«{Word} {Word}»\Documents
home wsl: /mnt/c/Users/«{word}»/src
home wsl unc: \\wsl$\Ubuntu\home\«{word}»\src
home wsl localhost: \\wsl.localhost\Ubuntu-22.04\home\«{word}»\src
home wsl unc json: "\\\\wsl$\\Ubuntu\\home\\«{word}»\\src"
home wsl slash: //wsl$/Ubuntu/home/«{word}»/x
home msys: /c/Users/«{word}»/x
home cygwin: /cygdrive/c/Users/«{word}»/x
home file uri: file:///Users/«{word}»/x
home file uri windows: file:///C:/Users/«{word}»/x
home encoded: file:///c%3A/Users/«{word}»/x
home claude project: ~/.claude/projects/-Users-«{word}»-src-app
home claude windows: projects/C--Users-«{word}»-src
home tilde: ~«{word}»/src/x
home var: /var/home/«{word}»/src
home end: cwd=/home/«{word}»
home export: HOME=/Users/«{word}»
"""
