import java.io.File;
import java.io.FileInputStream;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/** Validates files against PDF/A-3a and PDF/UA-1, and prints each rule that one breaks, once. */
class Check {
  public static void main(String[] files) throws Exception {
    VeraGreenfieldFoundryProvider.initialise();
    var foundry = Foundries.defaultInstance();
    for (String file : files) {
      for (PDFAFlavour flavour : new PDFAFlavour[] {PDFAFlavour.PDFA_3_A, PDFAFlavour.PDFUA_1}) {
        try (PDFAParser parser = foundry.createParser(new FileInputStream(file), flavour);
            PDFAValidator validator = foundry.createValidator(flavour, false)) {
          ValidationResult result = validator.validate(parser);
          System.out.println(new File(file).getName() + " " + flavour + " " + result.isCompliant());
          result.getTestAssertions().stream()
              .filter(assertion -> assertion.getStatus() == TestAssertion.Status.FAILED)
              .map(assertion -> assertion.getRuleId().getClause() + " " + assertion.getMessage() + " " + assertion.getErrorMessage())
              .distinct()
              .limit(20)
              .forEach(System.out::println);
        }
      }
    }
  }
}
