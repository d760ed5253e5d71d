#!/bin/sh
# Read a customer's record, or whatever METHOD says is to be done with it.
# lockgate run --role support -- sh customer.sh 42 [METHOD]
exec curl --silent --show-error --fail-with-body --request "${2:-GET}" "https://api.crm.example/v1/customers/$1"
