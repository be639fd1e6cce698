"""Gets a page by HTTPS, as Python does it, and prints the status and the page.

Arguments: the URL, the CA's certificate, and perhaps the client's certificate with its key, and NAME:PASSWORD.
An empty one counts as none.
"""

import base64
import ssl
import sys
import urllib.error
import urllib.request

url, ca, *rest = sys.argv[1:]
client, credentials = (rest + ["", ""])[:2]
context = ssl.create_default_context(cafile=ca)
if client:
    context.load_cert_chain(client)
request = urllib.request.Request(url)
if credentials:
    request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
try:
    with urllib.request.urlopen(request, context=context) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
except (OSError, ssl.SSLError) as error:
    print("refused:", error)
