"""The commands of `takeover`: moving the sessions of a live lambda-microservice here, and back."""
