// Beside the page, so that it is found under any prefix that the service is mounted under.
SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  domNode: document.getElementById("ui"),
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  // Nothing is sent to others: the default asks a validator on the Internet.
  validatorUrl: null,
  // A token stays in the page's memory and is gone with it.
  persistAuthorization: false,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
});
