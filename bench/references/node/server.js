// A reference: grpc-js and jose the usual way, the rules in code.
//
// node server.js ADDRESS JWKS-FILE PROTO-FOLDER...
'use strict';

const fs = require('node:fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { createLocalJWKSet, errors, jwtVerify } = require('jose');

const [address, jwksFile, ...protoFolders] = process.argv.slice(2);
const keys = createLocalJWKSet(JSON.parse(fs.readFileSync(jwksFile, 'utf8')));
const expected = {
  algorithms: ['ES256'],
  issuer: 'https://issuer.example.com',
  audience: 'https://api.example.com',
  requiredClaims: ['exp'],
};

function allowed(subject, client) {
  const headers = [
    { header: { key: 'x-subject', value: subject } },
    { header: { key: 'x-client', value: client } },
  ];
  return { status: { code: 0 }, ok_response: { headers } };
}

function denied(status, reason) {
  return {
    status: { code: status === 401 ? 16 : 7, message: reason },
    denied_response: { status: { code: status }, body: reason },
  };
}

function isReport(path) {
  const name = /^\/v1\/reports\/([^/]+)$/.exec(path.split('?', 1)[0]);
  return name !== null && name[1] !== 'embargoed';
}

function reasonOf(error) {
  if (error instanceof errors.JWTExpired) return 'token_expired';
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud') return 'audience_mismatch';
  return 'signature_invalid';
}

async function decide(http) {
  const line = http.header_map.headers.find(({ key }) => key === 'authorization');
  const bearer = /^bearer (.+)$/i.exec(line === undefined ? '' : line.raw_value.toString());
  if (bearer === null) return denied(401, 'no_credentials');
  let claims;
  try {
    claims = (await jwtVerify(bearer[1], keys, expected)).payload;
  } catch (error) {
    return denied(401, reasonOf(error));
  }
  if (http.method !== 'GET' || http.host !== 'api.example.com' || !isReport(http.path)) return denied(403, 'no_resource');
  if (!claims.scope.split(' ').includes('reports:read')) return denied(403, 'insufficient_scope');
  return allowed(claims.sub, claims.client_id);
}

function check(call, callback) {
  decide(call.request.attributes.request.http).then(
    (answer) => callback(null, answer),
    (error) => callback(error),
  );
}

const definition = loader.loadSync('extauthz/gen/envoy/service/auth/v3/external_auth.proto', {
  keepCase: true,
  enums: Number,
  includeDirs: protoFolders,
});
const service = grpc.loadPackageDefinition(definition).envoy.service.auth.v3.Authorization.service;
const server = new grpc.Server();
server.addService(service, { Check: check });
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
