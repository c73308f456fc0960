"""Tokens that are known by their form, each as its vendor documents it: `kind: template`."""

from typing import Final

TOKENS: Final = """
anthropic api: sk-ant-api03-{w93}AA
anthropic admin: sk-ant-admin01-{w93}AA
anthropic oauth: sk-ant-oat01-{w86}AA
anthropic refresh: sk-ant-ort01-{w86}AA
openai project: sk-proj-{w64}T3BlbkFJ{w64}
openai old: sk-{an20}T3BlbkFJ{an20}
openai service account: sk-svcacct-{w100}
openai admin: sk-admin-{w100}
openrouter: sk-or-v1-{hex64}
deepseek: sk-{hex32}
langfuse: sk-lf-{uuid}
helicone: sk-helicone-{az7}-{az7}-{az7}-{az7}
groq: gsk_{an52}
xai: xai-{an80}
perplexity: pplx-{an48}
replicate: r8_{an37}
hugging face: hf_{an34}
hugging face org: api_org_{an34}
langsmith personal: lsv2_pt_{hex32}_{hex10}
langsmith service: lsv2_sk_{hex32}_{hex10}
langsmith old: ls__{hex32}
weights and biases: wandb_v1_{w80}
cerebras: csk-{az48}
tavily: tvly-dev-{an32}
firecrawl: fc-{hex32}
pinecone: pcsk_{an6}_{an60}
fireworks: fw_{an24}
elevenlabs: sk_{hex48}
nvidia: nvapi-{w64}
e2b: e2b_{hex40}
aws access key: AKIA{bech16}
aws session key: ASIA{bech16}
aws bedrock long: ABSK{base96}
aws bedrock short: bedrock-api-key-{base120}
aws mws: amzn.mws.{uuid}
amazon lwa: amzn1.oa2-cs.v1.{hex64}
google api: AIza{w35}
google oauth secret: GOCSPX-{w28}
google access token: ya29.a0{w120}
google refresh token: 1//0{w60}
google hmac: GOOG1E{AZ55}
firebase fcm: AAAA{w7}:APA91b{w134}
azure ad secret: {an3}8Q~{w34}
azure devops pat: {an76}AZDO{an4}
azure storage account key: {an76}+ASt{an5}A==
azure cosmos key: {an76}ACDb{an5}Q==
azure apim key: {an76}APIM{an5}g==
azure function key: {an44}AzFu{an4}==
azure search key: {an42}AzSe{an6}
github classic: ghp_{an36}
github oauth: gho_{an36}
github app user: ghu_{an36}
github app server: ghs_{an36}
github refresh: ghr_{an76}
github fine-grained: github_pat_{an22}_{an59}
gitlab personal: glpat-{w20}
gitlab routable: glpat-{w27}.{az2}.{az9}
gitlab trigger: glptt-{hex40}
gitlab deploy: gldt-{w20}
gitlab runner: glrt-{w20}
gitlab runner routable: glrt-t1_{w20}
gitlab ci job: glcbt-64_{w20}
gitlab feed: glft-{w20}
gitlab mail: glimt-{w25}
gitlab agent: glagent-{w50}
gitlab oauth: gloas-{hex64}
gitlab scim: glsoat-{w20}
gitlab flags: glffct-{w20}
gitlab registration: GR1348941{w20}
bitbucket app password: ATBB{an32}
bitbucket repository token: ATCTT3xFfGN0{w170}={HEX8}
atlassian: ATATT3xFfGF0{w170}={HEX8}
trello: ATTA{hex64}
slack bot: xoxb-{d12}-{d13}-{an24}
slack user: xoxp-{d12}-{d12}-{d13}-{hex32}
slack app: xapp-1-A{AZ10}-{d13}-{hex64}
slack config: xoxe.xoxp-1-{an160}
slack refresh: xoxe-1-{an146}
discord bot: M{an23}.{an6}.{w38}
telegram bot: {d10}:AA{w33}
npm: npm_{an36}
pypi: pypi-AgEIcHlwaS5vcmc{w150}
rubygems: rubygems_{hex48}
crates.io: cio{an32}
nuget: oy2{az43}
clojars: CLOJARS_{hex60}
docker personal: dckr_pat_{w27}
docker organisation: dckr_oat_{w32}
sentry organisation: sntrys_eyJpYXQiOjE{b80}_{b43}
sentry user: sntryu_{hex64}
new relic user: NRAK-{AZ27}
new relic insert: NRII-{w32}
new relic licence: {hex36}NRAL
new relic browser: NRJS-{hex19}
new relic rest: NRRA-{hex42}
grafana service account: glsa_{an32}_{hex8}
grafana cloud: glc_eyJvIjoi{b100}
grafana old: eyJrIjoi{an90}
dynatrace: dt0c01.{AZ24}.{AZ64}
heroku uuid: HRKU-{uuid}
heroku: HRKU-AA{w58}
netlify personal: nfp_{an36}
netlify oauth: nfo_{an36}
vercel personal: vcp_{an56}
vercel gateway: vck_{an56}
vercel blob: vercel_blob_rw_{an16}_{an32}
square access: sq0atp-{w22}
square secret: sq0csp-{w43}
square production: EAAA{w60}
notion: ntn_{d11}{an35}
notion old: secret_{an43}
postman: PMAK-{hex24}-{hex34}
figma: figd_{w40}
figma oauth: figo_{w40}
hubspot: pat-na1-{uuid}
hubspot eu: pat-eu1-{uuid}
planetscale token: pscale_tkn_{w43}
planetscale password: pscale_pw_{w43}
planetscale oauth: pscale_oauth_{w43}
doppler personal: dp.pt.{an43}
doppler service: dp.st.dev.{an43}
doppler account: dp.sa.{an43}
pulumi: pul-{hex40}
fly: fo1_{w43}
fly macaroon: fm2_{b150}
tailscale auth: tskey-auth-{an12}CNTRL-{an32}
tailscale api: tskey-api-{an12}CNTRL-{an32}
tailscale client: tskey-client-{an12}CNTRL-{an32}
terraform: {an14}.atlasv1.{w67}
artifactory: AKCp{an69}
artifactory reference: cmVmdGtuO{an55}
1password service account: ops_eyJ{b300}
1password secret key: A3-{AZ6}-{AZ11}-{AZ5}-{AZ5}-{AZ5}
brevo: xkeysib-{hex64}-{an16}
brevo smtp: xsmtpsib-{hex64}-{an16}
linear: lin_api_{an40}
linear oauth: lin_oauth_{hex64}
facebook page: EAAC{an120}
facebook graph: EAAM{an120}
stripe secret: sk_live_{an24}
stripe long: sk_live_51{an97}
stripe test: sk_test_{an24}
stripe restricted: rk_live_{an24}
stripe webhook: whsec_{an32}
svix webhook: whsec_{base24}
sendgrid: SG.{w22}.{w43}
mailgun: key-{hex32}
resend: re_{an8}_{an24}
twilio key: SK{hex32}
supabase personal: sbp_{hex40}
supabase secret: sb_secret_{w31}
neon: napi_{az64}
render: rnd_{an32}
deno: ddp_{an36}
digitalocean personal: dop_v1_{hex64}
digitalocean oauth: doo_v1_{hex64}
digitalocean refresh: dor_v1_{hex64}
databricks: dapi{hex32}
databricks numbered: dapi{hex32}-2
vault service: hvs.{w90}
vault batch: hvb.{w140}
age: AGE-SECRET-KEY-1{bech58}
shopify admin: shpat_{hex32}
shopify custom: shpca_{hex32}
shopify secret: shpss_{hex32}
airtable: pat{an14}.{hex64}
asana: 1/{d16}:{hex32}
asana two: 2/{d16}/{d16}:{hex32}
buildkite: bkua_{hex40}
circleci: CCIPAT_{an22}_{hex40}
contentful: CFPAT-{w43}
alibaba: LTAI{an20}
tencent: AKID{an32}
adobe: p8e-{an32}
octopus: API-{AZ26}
openshift: sha256~{w43}
prefect: pnu_{az36}
sonar: squ_{hex40}
sonar project: sqp_{hex40}
sourcegraph: sgp_{hex40}
sourcegraph long: sgp_{hex16}_{hex40}
typeform: tfp_{w59}
readme: rdme_{az70}
shippo: shippo_live_{hex40}
duffel: duffel_live_{w43}
easypost: EZAK{an54}
flutterwave: FLWSECK_TEST-{hex32}-X
frameio: fio-u-{w64}
infracost: ico-{an32}
launchdarkly: sdk-{uuid}
launchdarkly api: api-{uuid}
maxmind: {an6}_{an29}_mmk
mapbox secret: sk.eyJ1Ijoi{an70}.{w22}
paypal braintree: access_token$production${az16}${hex32}
plaid: access-production-{uuid}
razorpay: rzp_live_{an14}
dropbox: sl.{w140}
dropbox user: sl.u.{w140}
yandex iam: t1.{w86}.{w86}
yandex api: AQVN{w36}
scalingo: tk-us-{w48}
rapidapi: {hex10}msh{hex15}p1{hex6}jsn{hex12}
zoho: 1000.{hex32}.{hex32}
cloudflare origin: v1.0-{hex24}-{hex146}
cursor: key_{hex64}
stytch: secret-live-{w35}=
intra42: s-s4t2ud-{hex64}
bitcoin extended: xprv{an107}
jwt: eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{an60}.{w43}
jwe: eyJhbGciOiJSU0EtT0FFUCJ9.{w60}.{w16}.{w60}.{w22}
harness: pat.{an22}.{hex24}.{an20}
settlemint: sm_pat_{an16}
"""
